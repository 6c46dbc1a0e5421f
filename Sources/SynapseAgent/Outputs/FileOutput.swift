internal import Logging
internal import Reactor
internal import SmartStack

/// Keeps one JSON file per service, for whoever follows discovery without HAProxy.
///
/// A file is replaced, atomically, only when its content changes; files of services that are no longer
/// configured are removed. A service without data yet keeps the file it has.
@LoopActor final class FileOutput: ConfigGenerator {
  private let directory: String
  private let services: Set<String>
  private let clock: LoopClock
  private let logger: Logger
  private let work: AsyncSignal
  private var wanted: [String: [UInt8]] = [:]
  private var hasCleaned = false
  private var isStopped = false
  private var task: Task<Void, Never>?

  init(directory: String, services: Set<String>, clock: LoopClock, logger: Logger) {
    self.directory = directory
    self.services = services
    self.clock = clock
    self.logger = logger
    work = AsyncSignal(clock: clock)
  }

  func apply(_ snapshots: [ServiceSnapshot]) {
    for snapshot in snapshots where services.contains(snapshot.service) {
      wanted[snapshot.service] = Array(FileOutput.json(snapshot.backends).utf8)
    }
    work.set()
  }

  func start() { task = Task { @LoopActor [weak self] in await self?.run() } }

  func stop() async {
    isStopped = true
    work.set()
    await task?.value
  }

  private func run() async {
    while !isStopped {
      await work.wait()
      let (files, directory) = (wanted, directory)
      wanted = [:]
      do {
        let written = try await BlockingWork.run { try FileOutput.write(files, into: directory) }
        if written > 0 { logger.info("service files replaced", with: [.path: directory, .count: written]) }
        if !hasCleaned { try await clean() }
      } catch {
        logger.error("service file write failed", with: [.path: directory, .reason: "\(error)"])
        wanted.merge(files) { newer, _ in newer }
        if !isStopped { work.set(after: .seconds(5)) }
      }
    }
    work.cancelAppointment()
  }

  private func clean() async throws {
    let (directory, services) = (directory, services)
    let removed = try await BlockingWork.run { () throws -> [String] in
      var removed: [String] = []
      for name in try Files.list(directory) where name.hasSuffix(".json") && !name.hasPrefix(".") {
        if services.contains(String(name.dropLast(".json".count))) { continue }
        if try Files.remove("\(directory)/\(name)") { removed.append(name) }
      }
      return removed
    }
    hasCleaned = true
    for name in removed {
      logger.notice("service file removed", with: [.path: "\(directory)/\(name)"])
    }
  }

  private nonisolated static func write(_ files: [String: [UInt8]], into directory: String) throws -> Int {
    try Files.makeDirectory(directory, mode: 0o755)
    var written = 0
    for (service, bytes) in files.sorted(by: { $0.key < $1.key }) {
      let path = "\(directory)/\(service).json"
      if let old = try? Files.read(path, limit: bytes.count + 1), old == bytes { continue }
      try Files.write(bytes, to: path, mode: 0o644, sync: false)
      written += 1
    }
    return written
  }

  /// The servers as upstream writes them.
  nonisolated static func json(_ backends: [Backend]) -> String {
    let items = backends.map { backend in
      var fields = "\"name\":\(text(backend.name)),\"host\":\(JSONText.quoted(backend.host)),\"port\":\(backend.port)"
      fields += ",\"id\":\(number(backend.id)),\"weight\":\(number(backend.weight))"
      fields += ",\"haproxy_server_options\":\(text(backend.haproxyServerOptions))"
      return "{\(fields),\"labels\":\(backend.labels?.json ?? "null")}"
    }
    return "[\(items.joined(separator: ","))]"
  }

  private nonisolated static func text(_ value: String?) -> String { value.map(JSONText.quoted) ?? "null" }
  private nonisolated static func number(_ value: Int?) -> String { value.map(String.init) ?? "null" }
}

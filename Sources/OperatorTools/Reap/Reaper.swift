internal import Glibc
internal import HAProxyRuntime
internal import Reactor

/// What `haproxy_synapse_reaper` is told on its command line.
public struct ReaperOptions: Sendable {
  /// `--state-dir`: one file per old process, made when it is first seen.
  public var stateDirectory = "/var/run/synapse_alumni"
  /// `--reap-age`, seconds since then.
  public var age = 3600
  /// `--max-procs`: more than so many old processes are ended, the oldest first.
  public var count = 10
  /// `--username`: whom HAProxy runs as.
  public var user = "nobody"
  /// `--process-name`: what HAProxy was started as.
  public var name = "haproxy-synapse"
  /// `--pid-file`: which processes are no old ones.
  public var pidFile = "/var/run/synapse/haproxy.pid"

  /// The original's.
  public init() {}
}

/// `haproxy_synapse_reaper`: ends the processes that reloads of HAProxy have left behind, when they are too many or too
/// old; for a timer, where synapse itself does not see to it.
public struct Reaper {
  /// What the command line may be called by.
  public static let names = ["haproxy_synapse_reaper"]

  private let options: ReaperOptions
  private let say: (String) -> Void

  /// - Parameter say: takes a line for the operator, as `INFO words`.
  public init(_ options: ReaperOptions, say: @escaping (String) -> Void) {
    self.options = options
    self.say = say
  }

  /// Looks once.
  /// - Returns: the exit status: 0, or 1 when something could not be done.
  public func run() -> Int32 {
    do {
      try Files.makeDirectory(options.stateDirectory, mode: 0o755)
      let old = try replaced()
      let (ended, isGood) = try reap(old)
      try forgetOthers(than: old)
      say("INFO Reaped \(ended) processes")
      return isGood ? 0 : 1
    } catch {
      say("ERROR \(error)")
      return 1
    }
  }

  // MARK: Which

  /// Processes of that name and user that serve no more, youngest first.
  private func replaced() throws -> [ProcessRecord] {
    let user = try userID()
    let serving = try servingProcesses()
    let all = ProcessRecord.all().filter { $0.name == options.name }
    return Reaper.replaced(among: all, serving: serving).filter { $0.user == user }
  }

  /// A reload replaces what began earlier; a master stays, and replaces its children.
  static func replaced(among all: [ProcessRecord], serving: [ProcessRecord]) -> [ProcessRecord] {
    let pids = Set(serving.map(\.pid)).union(serving.map(\.parent))
    let start = serving.map(\.startTicks).min() ?? 0
    let others = all.filter { !pids.contains($0.pid) }.sorted { $0.startTicks > $1.startTicks }
    var masters: Set<Int32> = []
    return others.filter { process in
      guard serving.contains(where: { $0.pid == process.parent }) else { return process.startTicks < start }
      // The youngest child of each master is the one that serves.
      return !masters.insert(process.parent).inserted
    }
  }

  private func servingProcesses() throws -> [ProcessRecord] {
    let text = String(decoding: try Files.read(options.pidFile, limit: 1 << 16), as: UTF8.self)
    let pids = text.split(whereSeparator: \.isWhitespace).map(String.init)
    guard !pids.isEmpty else { throw ReaperError("\(options.pidFile) holds no process id; nothing is ended") }
    return try pids.map { word in
      guard let pid = Int32(word), let process = ProcessRecord.read(pid), process.name == options.name else {
        // Somebody's process now serves, and nobody knows which: it might be ended as an old one.
        throw ReaperError(
          "\(options.pidFile) names \(word), which is no process called \(options.name); nothing is ended")
      }
      return process
    }
  }

  private func userID() throws -> UInt32 {
    if let entry = getpwnam(options.user) { return entry.pointee.pw_uid }
    guard let number = UInt32(options.user) else { throw ReaperError("there is no user \(options.user)") }
    return number
  }

  // MARK: Ending

  private func reap(_ old: [ProcessRecord]) throws -> (ended: Int, isGood: Bool) {
    let limits = WorkerLimits(count: options.count, age: .seconds(options.age))
    var (ended, isGood) = (0, true)
    for (index, process) in old.enumerated() {
      let age = try Int(age(of: process))
      guard limits.excess(index: index, age: .seconds(age)) != nil else { continue }
      say("INFO Reaping process \(process.pid) with age \(age)s and index \(index)")
      let code = process.signal(SIGKILL)
      if code == 0 {
        ended += 1
      } else {
        say("ERROR Process \(process.pid) cannot be ended: \(String(cString: strerror(code)))")
        isGood = false
      }
    }
    return (ended, isGood)
  }

  /// Since its file was made; a file of another process that had this pid is made anew.
  private func age(of process: ProcessRecord) throws -> Double {
    let (path, mark) = ("\(options.stateDirectory)/\(process.pid)", "\(process.startTicks)\n")
    let text = (try? Files.read(path, limit: 64)).map { String(decoding: $0, as: UTF8.self) }
    // The original's files are empty.
    if text != mark, text != "" {
      say("INFO Creating pidfile for new alumnus: \(process.pid)")
      try AtomicFile.write(Array(mark.utf8), to: path, mode: 0o644, sync: false)
    }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return max(0, Double(now.tv_sec) - (Files.modificationTime(path) ?? Double(now.tv_sec)))
  }

  private func forgetOthers(than old: [ProcessRecord]) throws {
    let pids = Set(old.map { String($0.pid) })
    for name in try Files.list(options.stateDirectory).sorted() where !pids.contains(name) {
      guard Int32(name) != nil else {
        say("WARNING Ignoring invalid filename: \(name)")
        continue
      }
      say("INFO Removing stale pidfile for \(name)")
      _ = try Files.remove("\(options.stateDirectory)/\(name)")
    }
  }
}

private struct ReaperError: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Reads the registrations below one znode when asked to, and sets no watches.
@LoopActor final class ZooKeeperPoll {
  /// Requests under way at one time.
  private static let width = 64
  /// For the session, when there is none at the moment.
  private static let patience: Duration = .seconds(3)

  private let discovery: ZooKeeperDiscovery
  private let reader: ZooKeeperReader

  init(_ discovery: ZooKeeperDiscovery, reader: ZooKeeperReader) {
    self.discovery = discovery
    self.reader = reader
  }

  /// All that is there. An absent directory is an empty one.
  /// - Throws: `ZooKeeperError` when the list, or any of its nodes, cannot be read.
  func read() async throws -> RegistryReading {
    _ = await reader.connects(within: ZooKeeperPoll.patience)
    let names = try await reader.children(discovery.path) ?? []
    var reading = RegistryReading()
    for start in stride(from: 0, to: names.count, by: ZooKeeperPoll.width) {
      let some = names[start..<min(start + ZooKeeperPoll.width, names.count)]
      let tasks = some.map { name in Task.immediate { @LoopActor in try await self.decode(name) } }
      for (name, task) in zip(some, tasks) {
        guard let child = try await task.value else { continue }
        reading.add(at: path(of: name)) { () throws(OperatorError) in try child.get() }
      }
    }
    if let path = discovery.generatorConfigPath, let bytes = try await reader.read(path), !bytes.isEmpty {
      reading.generatorConfig = String(decoding: bytes, as: UTF8.self)
    }
    return reading
  }

  private func path(of name: String) -> String {
    discovery.path == "/" ? "/\(name)" : "\(discovery.path)/\(name)"
  }

  /// What stands under one name; nil when it has gone since the list was read.
  private func decode(_ name: String) async throws -> Result<DecodedBackend, OperatorError>? {
    do throws(OperatorError) {
      if let decoded = try RegistrationCodec.decode(name: name) { return .success(decoded) }
    } catch {
      return .failure(error)
    }
    guard let bytes = try await reader.read(path(of: name)) else { return nil }
    return Result { () throws(OperatorError) in try discovery.decoding.decode(payload: bytes, name: name) }
  }
}

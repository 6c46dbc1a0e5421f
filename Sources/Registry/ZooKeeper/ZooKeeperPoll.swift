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
  private let client: ZooKeeperClient
  private let clock: LoopClock

  init(_ discovery: ZooKeeperDiscovery, client: ZooKeeperClient, clock: LoopClock) {
    self.discovery = discovery
    self.client = client
    self.clock = clock
  }

  /// All that is there. An absent directory is an empty one.
  /// - Throws: `ZooKeeperError` when the list, or any of its nodes, cannot be read.
  func read() async throws -> RegistryReading {
    try await untilConnected()
    let names = try await client.children(discovery.path) ?? []
    var reading = RegistryReading()
    var found: [Int: Backend] = [:]
    for start in stride(from: 0, to: names.count, by: ZooKeeperPoll.width) {
      let places = start..<min(start + ZooKeeperPoll.width, names.count)
      let tasks = places.map { place in
        Task.immediate { @LoopActor in (place, try await self.decode(names[place])) }
      }
      for task in tasks {
        switch await task.result {
        case .success((let place, let child)):
          let path = self.path(of: names[place])
          found[place] = child.backend
          reading.skipped[path] = child.problem
          if !child.ignored.isEmpty { reading.ignored[path] = child.ignored }
        case .failure(let error): throw error
        }
      }
    }
    reading.backends = names.indices.compactMap { found[$0] }
    if let path = discovery.generatorConfigPath, let bytes = try await client.read(path), !bytes.isEmpty {
      reading.generatorConfig = String(decoding: bytes, as: UTF8.self)
    }
    return reading
  }

  /// What stands under one name.
  private struct Child {
    var backend: Backend?
    var ignored: [String] = []
    var problem: String?

    init() {}

    init(_ decoded: DecodedBackend) { (backend, ignored) = (decoded.backend, decoded.ignored) }

    init(_ problem: OperatorError) { self.problem = problem.description }
  }

  private func path(of name: String) -> String {
    discovery.path == "/" ? "/\(name)" : "\(discovery.path)/\(name)"
  }

  private func decode(_ name: String) async throws -> Child {
    do throws(OperatorError) {
      if let decoded = try RegistrationCodec.decode(name: name) { return Child(decoded) }
    } catch {
      return Child(error)
    }
    // It may have gone since the list was read.
    guard let bytes = try await client.read(path(of: name)) else { return Child() }
    do throws(OperatorError) {
      return Child(try discovery.decoding.decode(payload: bytes, name: name))
    } catch {
      return Child(error)
    }
  }

  private func untilConnected() async throws {
    if case .connected = client.state { return }
    let changed = OneShotEvent<Void>()
    let token = client.onState { _ in changed.happen() }
    defer { token.cancel() }
    try await withDeadline(after: ZooKeeperPoll.patience, clock: clock) { try await changed.wait() }
  }
}

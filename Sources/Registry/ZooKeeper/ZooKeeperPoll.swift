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
    if let path = discovery.generatorConfigPath, let bytes = try await reader.read(path), !bytes.isEmpty {
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
    guard let bytes = try await reader.read(path(of: name)) else { return Child() }
    do throws(OperatorError) {
      return Child(try discovery.decoding.decode(payload: bytes, name: name))
    } catch {
      return Child(error)
    }
  }
}

internal import Reactor

/// Single requests, pipelined with everything else. None is retried: with
/// ``ZooKeeperError/Code/connectionLoss`` it is unknown whether the server carried it out.
extension ZooKeeperClient {
  /// The node's bytes; nil when it does not exist.
  /// - Throws: ``ZooKeeperError``; without a connection at once, with ``ZooKeeperError/Code/connectionLoss``.
  public func read(_ path: String) async throws -> [UInt8]? { try await inspect(path)?.data }

  /// The names below `path`, in the server's order; nil when it does not exist.
  /// - Throws: ``ZooKeeperError``, as ``read(_:)``.
  public func children(_ path: String) async throws -> [String]? {
    let session = try session(to: "list", path: path)
    do throws(ZooKeeperError) {
      return try await session.children(path)
    } catch {
      if error.code == .noNode { return nil }
      throw error
    }
  }

  /// Whether the node exists.
  /// - Throws: ``ZooKeeperError``, as ``read(_:)``.
  public func exists(_ path: String) async throws -> Bool {
    try await session(to: "exists", path: path).stat(path) != nil
  }

  /// Makes a node, with its parents when they are missing. What is made here has no owner: a node
  /// that must survive a session is ``want(_:adopting:onChange:)``ed instead.
  /// - Returns: its path, with the digits of the sequential modes.
  /// - Throws: ``ZooKeeperError``, also ``ZooKeeperError/Code/nodeExists``.
  @discardableResult
  public func create(_ path: String, data: [UInt8] = [], mode: NodeMode = .persistent) async throws -> String {
    let session = try session(to: "create", path: path)
    let isProtected = context.protectsNodes
    do throws(ZooKeeperError) {
      return try await session.create(path, data: data, mode: mode, isProtected: isProtected)
    } catch {
      guard error.code == .noNode, let slash = path.lastIndex(of: "/") else { throw error }
      try await session.makeDirectory(String(path[..<slash]), isProtected: isProtected)
    }
    return try await session.create(path, data: data, mode: mode, isProtected: isProtected)
  }

  /// Replaces the node's bytes.
  /// - Throws: ``ZooKeeperError``, also ``ZooKeeperError/Code/noNode``.
  public func set(_ path: String, to data: [UInt8]) async throws {
    try await session(to: "set", path: path).set(path, to: data)
  }

  /// Deletes the node; one that does not exist is fine.
  /// - Throws: ``ZooKeeperError``, also ``ZooKeeperError/Code/notEmpty``.
  public func delete(_ path: String) async throws {
    try await session(to: "delete", path: path).deleteIfThere(path)
  }

  /// The node's bytes and properties; nil when it does not exist.
  /// - Throws: ``ZooKeeperError``, as ``read(_:)``.
  public func inspect(_ path: String) async throws -> (data: [UInt8], stat: NodeStat)? {
    let session = try session(to: "read", path: path)
    do throws(ZooKeeperError) {
      return try await session.read(path)
    } catch {
      if error.code == .noNode { return nil }
      throw error
    }
  }

  /// Deletes the node if it was not written since it was inspected, and nothing was put below it.
  /// - Returns: whether it was deleted by this call.
  /// - Throws: ``ZooKeeperError``.
  public func delete(_ path: String, ifStill stat: NodeStat) async throws -> Bool {
    let session = try session(to: "delete", path: path)
    do throws(ZooKeeperError) {
      try await session.delete(path, version: stat.version)
      return true
    } catch {
      if [.noNode, .badVersion, .notEmpty].contains(error.code) { return false }
      throw error
    }
  }

  /// Waits until requests are answered.
  /// - Returns: false when the limit has passed before.
  public func connects(within limit: Duration) async -> Bool {
    if context.connected != nil { return true }
    let connected = OneShotEvent<Void>()
    let token = onState { if case .connected = $0 { connected.happen() } }
    defer { token.cancel() }
    _ = try? await withDeadline(after: limit, clock: context.clock) { try await connected.wait() }
    return context.connected != nil
  }

  private func session(to operation: String, path: String) throws(ZooKeeperError) -> ZooKeeperSession {
    if let session = context.connected { return session }
    throw ZooKeeperError(code: state == .closed ? .closed : .connectionLoss, operation: operation, path: path)
  }
}

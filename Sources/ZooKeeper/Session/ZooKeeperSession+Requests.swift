internal import CZooKeeper
internal import Reactor

/// The requests, each one round trip.
extension ZooKeeperSession {
  /// - Returns: the node's path, with the digits of the sequential modes.
  func create(
    _ path: String, data: [UInt8], mode: NodeMode, isProtected: Bool, isDirectory: Bool = false
  ) async throws(ZooKeeperError) -> String {
    try checkSize(of: data, at: path, .create)
    let ownersOnly = isDirectory ? smartstack_directory_acl() : smartstack_protected_acl()
    let acl = isProtected ? ownersOnly : smartstack_open_acl()
    let content = try await call(.create, at: path) { handle, token in
      data.withCharacters { bytes, count in
        zoo_acreate(handle, path, bytes, count, acl, mode.flags, onString, token)
      }
    }.get()
    guard case .path(let made) = content else { return path }
    return made
  }

  /// A server ends the connection, and so every other request on it, for a packet above its limit.
  private func checkSize(of data: [UInt8], at path: String, _ operation: Operation) throws(ZooKeeperError) {
    guard path.utf8.count + data.count > Self.maximumPacket else { return }
    throw ZooKeeperError(code: .badArguments, operation: operation.rawValue, path: String(path.prefix(200)))
  }

  /// The server's `jute.maxbuffer` less a packet's other fields, the access control list among them.
  private static var maximumPacket: Int { 0xfffff - 1024 }

  /// - Parameter version: the only one that is deleted; -1 takes any.
  func delete(_ path: String, version: Int32 = -1) async throws(ZooKeeperError) {
    _ = try await call(.delete, at: path) { zoo_adelete($0, path, version, onVoid, $1) }.get()
  }

  /// Deletes a node; one that is gone is as good.
  func deleteIfThere(_ path: String) async throws(ZooKeeperError) {
    do throws(ZooKeeperError) {
      try await delete(path)
    } catch {
      if error.code != .noNode { throw error }
    }
  }

  /// - Returns: the node's new version.
  @discardableResult
  func set(_ path: String, to data: [UInt8]) async throws(ZooKeeperError) -> Int32 {
    try checkSize(of: data, at: path, .set)
    let content = try await call(.set, at: path) { handle, token in
      data.withCharacters { bytes, count in zoo_aset(handle, path, bytes, count, -1, onStat, token) }
    }.get()
    guard case .stat(let stat) = content else { return 0 }
    return stat.version
  }

  /// - Parameter watching: tells the listener of that key about the next change.
  func read(_ path: String, watching: WatchKey? = nil) async throws(ZooKeeperError) -> (data: [UInt8], stat: NodeStat) {
    let content = try await call(.read, at: path) { handle, token in
      guard let watching else { return zoo_aget(handle, path, 0, onData, token) }
      return zoo_awget(handle, path, onWatch, watches.token(of: watching), onData, token)
    }.get()
    guard case .data(let bytes, let stat) = content else { return ([], NodeStat(copying: nil)) }
    return (bytes, stat)
  }

  func children(_ path: String, watching: WatchKey? = nil) async throws(ZooKeeperError) -> [String] {
    let content = try await call(.list, at: path) { handle, token in
      guard let watching else { return zoo_aget_children(handle, path, 0, onStrings, token) }
      return zoo_awget_children(handle, path, onWatch, watches.token(of: watching), onStrings, token)
    }.get()
    guard case .names(let names) = content else { return [] }
    return names
  }

  /// - Returns: nil when there is no such node; a watch is then on its creation.
  func stat(_ path: String, watching: WatchKey? = nil) async throws(ZooKeeperError) -> NodeStat? {
    let answer = await call(.exists, at: path) { handle, token in
      guard let watching else { return zoo_aexists(handle, path, 0, onStat, token) }
      return zoo_awexists(handle, path, onWatch, watches.token(of: watching), onStat, token)
    }
    if case .failure(let error) = answer, error.code == .noNode { return nil }
    guard case .stat(let stat) = try answer.get() else { return nil }
    return stat
  }

  /// Returns when this server has seen everything that was decided before.
  func sync(_ path: String) async throws(ZooKeeperError) {
    _ = try await call(.sync, at: path) { zoo_async($0, path, onString, $1) }.get()
  }

  /// Makes `path` and what is missing above it; everybody may list it and make nodes there.
  ///
  /// `/` is the connection string's chroot, which may be missing too; one level of it is made.
  func makeDirectory(_ path: String, isProtected: Bool) async throws(ZooKeeperError) {
    do {
      _ = try await create(path, data: [], mode: .persistent, isProtected: isProtected, isDirectory: true)
    } catch {
      switch error.code {
      case .nodeExists: return
      case .noNode:
        guard path != "/", let slash = path.lastIndex(of: "/") else { throw error }
        try await makeDirectory(slash == path.startIndex ? "/" : String(path[..<slash]), isProtected: isProtected)
        try await makeDirectory(path, isProtected: isProtected)
      default: throw error
      }
    }
  }
}

extension [UInt8] {
  /// The bytes as libzookeeper takes them.
  fileprivate func withCharacters<Result>(_ body: (UnsafePointer<CChar>?, Int32) -> Result) -> Result {
    withUnsafeBytes { body($0.bindMemory(to: CChar.self).baseAddress, Int32($0.count)) }
  }
}

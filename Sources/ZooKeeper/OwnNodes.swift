internal import Logging
internal import Reactor
internal import SmartStack

/// Finds the nodes that this session has in a directory.
///
/// Needed when a create was not answered and when a session is carried on: ZooKeeper has no request for
/// "my nodes", but each node says whose it is.
@LoopActor enum OwnNodes {
  struct Found: Sendable {
    let path: String
    let version: Int32
    let data: [UInt8]
  }

  /// Whether `child` is `name` followed by the ten digits of the sequential modes (a counter that has
  /// run over is a minus sign and digits).
  nonisolated static func isSequel(_ child: String, of name: String) -> Bool {
    let (child, name) = (child.utf8, name.utf8)
    guard child.count >= name.count + 10, child.starts(with: name) else { return false }
    let digits = child.dropFirst(name.count)
    let isNegative = digits.first == UInt8(ascii: "-")
    guard digits.count == 10 || (isNegative && digits.count == 11) else { return false }
    return digits.dropFirst(isNegative ? 1 : 0).allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }

  /// The unclaimed nodes that can be this registration, those with the same data first, oldest first.
  /// - Parameter isOurs: asked with the data of those with other data.
  static func find(
    _ registration: Registration, isOurs: @LoopActor ([UInt8]) -> Bool, _ session: ZooKeeperSession,
    _ client: ZooKeeperClient
  ) async throws(ZooKeeperError) -> [Found] {
    let directory = registration.directory
    let names = try await current(directory, session).filter { isSequel($0, of: registration.name) }
    let paths = names.sorted().map { directory == "/" ? "/" + $0 : directory + "/" + $0 }
      .filter { !client.claimed.contains($0) }
    let owner = registration.mode.isEphemeral ? session.id : 0
    var same: [Found] = []
    var similar: [Found] = []
    for read in try await readAll(paths, session) where read.stat.ephemeralOwner == owner {
      let found = Found(path: read.path, version: read.stat.version, data: read.data)
      if found.data == registration.data {
        same.append(found)
      } else if isOurs(found.data) {
        similar.append(found)
      }
    }
    // The reads took a while: somebody else may have claimed one.
    return (same + similar).filter { !client.claimed.contains($0.path) }
  }

  /// The children as of now: the sync makes sure that this server has seen what was decided before,
  /// also what an earlier connection of this session asked for.
  static func current(_ directory: String, _ session: ZooKeeperSession) async throws(ZooKeeperError) -> [String] {
    do throws(ZooKeeperError) {
      try await session.sync(directory)
      return try await session.children(directory)
    } catch {
      if error.code == .noNode { return [] }
      throw error
    }
  }

  struct Read: Sendable {
    let path: String
    let data: [UInt8]
    let stat: NodeStat
  }

  /// Reads all at once; those that are gone are left out.
  static func readAll(_ paths: [String], _ session: ZooKeeperSession) async throws(ZooKeeperError) -> [Read] {
    let reads = paths.map { path in
      Task.immediate { () async -> Result<Read, ZooKeeperError> in
        do throws(ZooKeeperError) {
          let (data, stat) = try await session.read(path)
          return .success(Read(path: path, data: data, stat: stat))
        } catch {
          return .failure(error)
        }
      }
    }
    var answers: [Read] = []
    for read in reads {
      switch await read.value {
      case .success(let read): answers.append(read)
      case .failure(let error) where error.code == .noNode || error.code == .noAuth: continue
      case .failure(let error): throw error
      }
    }
    return answers
  }
}

extension ZooKeeperClient {
  /// Deletes what a session carried on left in `directories` and nobody has wanted since: nodes of this
  /// very session that no registration holds. Call it once every service has reported after a resume;
  /// without a resumed session, or without a connection, it does nothing.
  /// - Returns: the paths of the deleted nodes.
  @discardableResult
  public func dropLeftovers(in directories: [String]) async -> [String] {
    guard let session = connectedSession, session.isResumed else { return [] }
    var dropped: [String] = []
    for directory in Set(directories).sorted() {
      do throws(ZooKeeperError) {
        let names = try await OwnNodes.current(directory, session)
        let paths = names.map { directory == "/" ? "/" + $0 : directory + "/" + $0 }
          .filter { !claimed.contains($0) }
        for read in try await OwnNodes.readAll(paths, session) where read.stat.ephemeralOwner == session.id {
          guard !claimed.contains(read.path), !mayBeTaken(read.path) else { continue }
          try await session.deleteIfThere(read.path)
          dropped.append(read.path)
          logger.notice("deleted a node that nobody wants any more", with: [.znode: read.path])
        }
      } catch {
        logger.warning("cannot look for leftovers", with: [.path: directory, .reason: "\(error)"])
      }
    }
    return dropped
  }

  /// Whether a registration that is still looking for its node may find this one.
  private func mayBeTaken(_ path: String) -> Bool {
    wanted.contains { node in
      let wanted = node.registration
      guard node.heldPath == nil, path.hasPrefix(wanted.path) else { return false }
      return wanted.mode.isSequential ? OwnNodes.isSequel(path, of: wanted.path) : path == wanted.path
    }
  }
}

extension ZooKeeperSession {
  /// Deletes a node; one that is gone is as good.
  func deleteIfThere(_ path: String) async throws(ZooKeeperError) {
    do throws(ZooKeeperError) {
      try await delete(path)
    } catch {
      if error.code != .noNode { throw error }
    }
  }
}

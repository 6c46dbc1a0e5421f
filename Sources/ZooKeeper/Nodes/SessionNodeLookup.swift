internal import Reactor

/// Finds the nodes that this session has in a directory.
///
/// Needed when a create was not answered and when a session is resumed: ZooKeeper has no request for
/// "my nodes", but each node says whose it is.
@LoopActor enum SessionNodeLookup {
  struct Node: Sendable {
    let path: String
    let data: [UInt8]
    let stat: NodeStat
  }

  /// The unclaimed nodes that can be this registration, those with the same data first, oldest first.
  /// - Parameter isOurs: asked with the data of those with other data.
  static func find(
    _ registration: Registration, isOurs: @LoopActor ([UInt8]) -> Bool, in session: ZooKeeperSession,
    except claims: NodeClaims
  ) async throws(ZooKeeperError) -> [Node] {
    let directory = registration.directory
    let names = try await children(of: directory, in: session).filter {
      Registration.isSequel($0, of: registration.name)
    }
    let paths = names.sorted().map { directory == "/" ? "/" + $0 : directory + "/" + $0 }
      .filter { !claims.contains($0) }
    let owner = registration.mode.isEphemeral ? session.id : 0
    var same: [Node] = []
    var similar: [Node] = []
    for read in try await readAll(paths, in: session) where read.stat.ephemeralOwner == owner {
      if read.data == registration.data {
        same.append(read)
      } else if isOurs(read.data) {
        similar.append(read)
      }
    }
    // The reads took a while: somebody else may have claimed one.
    return (same + similar).filter { !claims.contains($0.path) }
  }

  /// The children as of now: the sync makes sure that this server has seen what was decided before,
  /// also what an earlier connection of this session asked for.
  static func children(of directory: String, in session: ZooKeeperSession) async throws(ZooKeeperError) -> [String] {
    do throws(ZooKeeperError) {
      try await session.sync(directory)
      return try await session.children(directory)
    } catch {
      if error.code == .noNode { return [] }
      throw error
    }
  }

  /// Reads all at once, and skips those that are gone.
  static func readAll(_ paths: [String], in session: ZooKeeperSession) async throws(ZooKeeperError) -> [Node] {
    let reads = paths.map { path in
      Task.immediate { () async -> Result<Node, ZooKeeperError> in
        do throws(ZooKeeperError) {
          let (data, stat) = try await session.read(path)
          return .success(Node(path: path, data: data, stat: stat))
        } catch {
          return .failure(error)
        }
      }
    }
    var answers: [Node] = []
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

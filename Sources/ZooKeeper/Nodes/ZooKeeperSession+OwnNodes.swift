internal import Reactor

/// Looks for the nodes that this session has in a directory.
///
/// Needed when a create was not answered and when a session is resumed: ZooKeeper has no request for
/// "my nodes", but each node says whose it is.
extension ZooKeeperSession {
  typealias FoundNode = (path: String, data: [UInt8], stat: NodeStat)

  /// The unclaimed nodes that can be this registration, those with the same data first, oldest first.
  /// - Parameter isOurs: asked with the data of those with other data.
  func findNodes(
    of registration: Registration, isOurs: @LoopActor ([UInt8]) -> Bool, except claims: NodeClaims
  ) async throws(ZooKeeperError) -> [FoundNode] {
    let directory = registration.directory
    let names = try await currentChildren(of: directory).filter {
      Registration.isSequel($0, of: registration.name)
    }
    let paths = names.sorted().map { directory == "/" ? "/" + $0 : directory + "/" + $0 }
      .filter { !claims.contains($0) }
    let owner = registration.mode.isEphemeral ? id : 0
    var same: [FoundNode] = []
    var similar: [FoundNode] = []
    for read in try await readAll(paths) where read.stat.ephemeralOwner == owner {
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
  func currentChildren(of directory: String) async throws(ZooKeeperError) -> [String] {
    do throws(ZooKeeperError) {
      try await sync(directory)
      return try await children(directory)
    } catch {
      if error.code == .noNode { return [] }
      throw error
    }
  }

  /// Reads all at once, and skips those that are gone.
  func readAll(_ paths: [String]) async throws(ZooKeeperError) -> [FoundNode] {
    let reads = paths.map { path in
      Task.immediate { () async -> Result<FoundNode, ZooKeeperError> in
        do throws(ZooKeeperError) {
          let (data, stat) = try await self.read(path)
          return .success((path, data, stat))
        } catch {
          return .failure(error)
        }
      }
    }
    var answers: [FoundNode] = []
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

internal import Logging
internal import SmartStack

extension ZooKeeperClient {
  /// Deletes what a resumed session has in `directories` and no registration wants: nodes of this
  /// very session that no registration holds. Call it once every service has reported after a resume;
  /// without a resumed session, or without a connection, it does nothing.
  /// - Returns: the paths of the deleted nodes.
  @discardableResult
  public func dropLeftovers(in directories: [String]) async -> [String] {
    guard let session = context.connected, session.isResumed else { return [] }
    var dropped: [String] = []
    for directory in Set(directories).sorted() {
      do throws(ZooKeeperError) {
        let names = try await session.currentChildren(of: directory)
        let paths = names.map { directory == "/" ? "/" + $0 : directory + "/" + $0 }
          .filter { !claims.contains($0) }
        for read in try await session.readAll(paths) where read.stat.ephemeralOwner == session.id {
          guard !claims.contains(read.path), !claims.mayTake(read.path) else { continue }
          try await session.deleteIfThere(read.path)
          dropped.append(read.path)
          context.logger.notice("leftover node deleted", with: [.znode: read.path])
        }
      } catch {
        context.logger.warning("leftover search failed", with: [.path: directory, .reason: "\(error)"])
      }
    }
    return dropped
  }
}

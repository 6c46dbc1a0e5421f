internal import Logging
internal import Reactor
internal import SmartStack

extension ZooKeeperClient {
  /// Deletes what the list of own nodes has of the session in use, or of none, and no registration wants: what an earlier
  /// run left. Call it once every service has reported after a resume.
  /// - Parameter others: clients of other lists of servers. What they have of the same ensemble is not a leftover.
  /// - Returns: the paths of the deleted nodes.
  @discardableResult
  public func dropLeftovers(besides others: [ZooKeeperClient] = []) async -> [String] {
    guard let session = context.connected else { return [] }
    let theirs = Set(
      others.filter { $0.ensemble.shares(with: ensemble) }.flatMap { other in
        other.own.places.map { other.ensemble.chroot + $0 }
      })
    var dropped: [String] = []
    for entry in context.own.entries(of: session.id, isFormer: false) where !isInUse(entry) {
      if theirs.contains(ensemble.chroot + entry.path) {
        context.own.strike(entry)
        continue
      }
      dropped += await drop(entry, in: session) ?? []
    }
    return dropped
  }

  /// Deletes what the session had removed already: it is there again after the ensemble was set back to a backup in which
  /// the session still lives.
  func dropStruckNodes(in session: ZooKeeperSession) async {
    for entry in context.own.struck(of: session.id) where !isInUse(entry) { _ = await drop(entry, in: session) }
  }

  /// Deletes what sessions before this one left that the ensemble has not ended yet, as after it stood still. A node goes
  /// when its registration has another one: there is no gap.
  func dropFormerNodes(in session: ZooKeeperSession) async {
    var pause = Duration.milliseconds(50)
    while context.connected === session {
      let former = context.own.entries(of: session.id, isFormer: true)
      if former.isEmpty { return }
      for entry in former where !isSought(entry) { _ = await drop(entry, in: session) }
      guard (try? await context.clock.sleep(for: pause)) != nil else { return }
      pause = min(pause * 2, .seconds(5))
    }
  }

  private func isInUse(_ entry: OwnNodes.Entry) -> Bool { claims.contains(entry.path) || isSought(entry) }

  /// Whether a registration without a node may take this one, or has asked for it.
  private func isSought(_ entry: OwnNodes.Entry) -> Bool {
    entry.isMade ? claims.mayTake(entry.path) : claims.isSeeking(entry.path)
  }

  /// - Returns: the paths of the deleted nodes; nil when a server has yet to answer.
  private func drop(_ entry: OwnNodes.Entry, in session: ZooKeeperSession) async -> [String]? {
    var dropped: [String] = []
    do throws(ZooKeeperError) {
      for path in try await candidates(entry, in: session) where !claims.contains(path) {
        guard let stat = try await session.stat(path), stat.ephemeralOwner == entry.session else { continue }
        try await session.deleteIfThere(path)
        dropped.append(path)
        context.logger.notice("leftover node deleted", with: [.znode: path])
      }
      context.own.strike(entry)
      return dropped
    } catch {
      switch error.code {
      case .connectionLoss, .sessionExpired, .closed: break
      default:
        context.logger.warning("leftover search failed", with: [.path: entry.path, .reason: "\(error)"])
        context.own.refuse(entry)
      }
      return nil
    }
  }

  private func candidates(
    _ entry: OwnNodes.Entry, in session: ZooKeeperSession
  ) async throws(ZooKeeperError) -> [String] {
    if entry.isMade { return [entry.path] }
    let slash = entry.path.lastIndex(of: "/") ?? entry.path.startIndex
    let (directory, name) = (String(entry.path[..<slash]), String(entry.path[slash...].dropFirst()))
    return try await session.currentChildren(of: directory.isEmpty ? "/" : directory)
      .filter { Registration.isSequel($0, of: name) }.map { "\(directory)/\($0)" }
  }
}

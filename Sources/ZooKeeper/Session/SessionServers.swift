internal import Reactor

/// The addresses that libzookeeper has for one session: looked up again now and then, and tried one by one while there is
/// no connection.
@LoopActor final class SessionServers {
  /// For all look-ups of a connection string together.
  static let lookUpPatience: Duration = .seconds(10)
  /// Without a connection they are looked for about this many times in a session timeout, and once a second at least; at
  /// random moments, because a whole fleet does so when an ensemble is away.
  private static let searches = 10
  private static let longestInterval: Duration = .seconds(1)
  /// How long libzookeeper may take to connect to servers that serve: one that has just begun is slow.
  private static let connectPatience: Duration = .seconds(2)
  /// For the answer of a server; one that is slower is found the next time.
  private static let longestPatience: Duration = .seconds(1)

  private let settings: SessionSettings
  private let handle: LibraryHandle
  /// All that the names mean.
  private var addresses: [String]
  /// Those that libzookeeper has: all, or those that served clients when they were tried last.
  private(set) var offered: [String]
  /// When libzookeeper was given another list last, since the connection has come or gone.
  private var offeredAt: LoopClock.Instant?
  private var isConnected = false
  private var rounds: Task<Void, Never>?
  /// Since when servers serve clients while libzookeeper gets no connection.
  private var servedSince: LoopClock.Instant?
  private let onRefusal: @LoopActor () -> Void

  /// - Parameter onRefusal: called again and again while servers serve clients, and this one gets no connection.
  init(
    _ settings: SessionSettings, handle: LibraryHandle, addresses: [String], onRefusal: @escaping @LoopActor () -> Void
  ) {
    (self.settings, self.handle, self.onRefusal) = (settings, handle, onRefusal)
    (self.addresses, offered) = (addresses, addresses)
    startRounds()
  }

  func stop() { rounds?.cancel() }

  /// There is a connection, or none any more.
  func connectionChanged(_ isConnected: Bool) {
    guard isConnected != self.isConnected else { return }
    self.isConnected = isConnected
    startRounds()
  }

  private func startRounds() {
    rounds?.cancel()
    (servedSince, offeredAt) = (nil, nil)
    let interval =
      isConnected
      ? settings.serverInterval : min(settings.timeout / SessionServers.searches, SessionServers.longestInterval)
    rounds = Task { @LoopActor [weak self] in
      while (try? await LoopClock.system.sleep(for: interval * Double.random(in: 0.5...1.5))) != nil {
        await self?.look(patience: interval)
      }
    }
  }

  /// Looks the names up, and leaves libzookeeper the servers alone that serve clients: it gives each silent one two thirds
  /// of the session timeout, which two of three use up. With a connection it moves over when the server it has is not
  /// among them, or has to share its clients with one that has come back.
  private func look(patience: Duration) async {
    // While there is no connection an answer from before is not good enough, however long it was to last.
    let found = await settings.addresses(deadline: min(patience, SessionServers.lookUpPatience), isFresh: !isConnected)
    // No address at all is taken for an outage of the name service.
    if !found.isEmpty { addresses = found }
    if Task.isCancelled || (isConnected && addresses == offered) { return }
    let limit = min(patience, SessionServers.longestPatience)
    let serving = await ServerList.serving(among: addresses, deadline: limit)
    if Task.isCancelled { return }
    if !serving.isEmpty, mayOffer(serving) {
      (offered, offeredAt) = (serving, LoopClock.system.now)
      handle.setServers(serving)
    }
    noteServing(!serving.isEmpty)
  }

  /// For each new list libzookeeper gives up the attempt that is under way: answers that come and go must not keep it from
  /// connecting.
  private func mayOffer(_ serving: [String]) -> Bool {
    if isConnected { return serving != offered }
    guard !Set(offered).isSubset(of: serving) else { return false }
    let pause = max(SessionServers.connectPatience, settings.timeout / SessionServers.searches)
    return offeredAt.map { LoopClock.system.now - $0 > pause } ?? true
  }

  private func noteServing(_ isServing: Bool) {
    guard isServing, !isConnected else {
      servedSince = nil
      return
    }
    let (now, since) = (LoopClock.system.now, servedSince ?? LoopClock.system.now)
    servedSince = since
    if now - since > SessionServers.connectPatience { onRefusal() }
  }
}

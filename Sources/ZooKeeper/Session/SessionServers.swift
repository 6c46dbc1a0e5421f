internal import Reactor

/// The addresses that libzookeeper has for one session: looked up again now and then, and tried one by one while there is
/// no connection.
@LoopActor final class SessionServers {
  /// For all look-ups of a connection string together.
  static let lookUpPatience: Duration = .seconds(10)
  /// Without a connection they are looked for about this many times in a session timeout; at random moments, because a
  /// whole fleet does so when an ensemble is away.
  private static let searches = 10
  /// For the answer of a server; one that is slower is found the next time.
  private static let longestPatience: Duration = .seconds(1)

  private let settings: SessionSettings
  private let handle: LibraryHandle
  /// All that the names mean.
  private var addresses: [String]
  /// Those that libzookeeper has: all, or those that served clients when they were tried last.
  private(set) var offered: [String]
  private var isConnected = false
  private var rounds: Task<Void, Never>?

  init(_ settings: SessionSettings, handle: LibraryHandle, addresses: [String]) {
    (self.settings, self.handle) = (settings, handle)
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
    let interval = isConnected ? settings.serverInterval : settings.timeout / SessionServers.searches
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
    if Task.isCancelled || serving.isEmpty || serving == offered { return }
    offered = serving
    handle.setServers(serving)
  }
}

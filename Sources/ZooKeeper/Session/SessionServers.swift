internal import Reactor

/// The addresses that libzookeeper has for one session: looked up again now and then, and tried one by one while there is
/// no connection.
@LoopActor final class SessionServers {
  /// For all look-ups of a connection string together.
  static let lookUpPatience: Duration = .seconds(10)
  /// How often the servers' names are looked up again, on average.
  private static let resolutionInterval: Duration = .seconds(60)
  /// Without a connection they are looked up, and tried, about this many times in a session timeout; at random moments,
  /// because a whole fleet does so when an ensemble is away.
  private static let searches = 10

  private let list: ServerList
  private let timeout: Duration
  private let handle: LibraryHandle
  private var addresses: [String]
  /// Those that libzookeeper has.
  private var offered: [String]
  private var resolution: LoopTimer?
  private var search: Task<Void, Never>?

  init(_ list: ServerList, timeout: Duration, handle: LibraryHandle, addresses: [String]) {
    (self.list, self.timeout, self.handle) = (list, timeout, handle)
    (self.addresses, offered) = (addresses, addresses)
    armResolution()
  }

  func stop() {
    resolution?.cancel()
    search?.cancel()
  }

  private func armResolution() {
    resolution = LoopClock.system.schedule(after: Self.resolutionInterval * Double.random(in: 0.5...1.5)) {
      [weak self] in
      Task.immediate { await self?.resolveAgain() }
    }
  }

  /// Names that mean other addresses by now: libzookeeper moves over when the server it has is not among
  /// them, and stays otherwise. No address at all is taken for an outage of the name service.
  private func resolveAgain() async {
    let found = await list.addresses(deadline: Self.lookUpPatience)
    guard resolution?.isPending == false else { return }
    if !found.isEmpty, found != addresses {
      addresses = found
      offer(found)
    }
    armResolution()
  }

  private func offer(_ addresses: [String]) {
    offered = addresses
    handle.setServers(addresses)
  }

  /// There is a connection.
  func connected() {
    search?.cancel()
    search = nil
  }

  /// As long as there is no connection: looks the names up again, and leaves libzookeeper the servers alone that take
  /// connections. It gives each silent one two thirds of the session timeout, which two of three use up.
  func disconnected() {
    guard search == nil else { return }
    let pause = timeout / SessionServers.searches
    search = Task { @LoopActor [weak self] in
      while (try? await LoopClock.system.sleep(for: pause * Double.random(in: 0.5...1.5))) != nil {
        guard let self else { return }
        let found = await list.addresses(deadline: pause)
        if !found.isEmpty { addresses = found }
        let reachable = await ServerList.reachable(among: addresses, deadline: pause)
        if Task.isCancelled { return }
        if !reachable.isEmpty, reachable != offered { offer(reachable) }
      }
    }
  }
}

internal import CEvent
internal import Glibc

/// Listens on a loopback address for connections of this very process; all others are closed before a byte is read.
///
/// For libraries that can only connect: what they say goes on from here, by whatever way. No other account, and no other
/// process of this one, can borrow that way.
@LoopActor public final class PrivateListener {
  /// `ADDRESS:PORT` to connect to; no two listeners have the same address.
  public let address: String
  private let endpoint: Endpoint
  private let descriptor: Int32
  private var arrivals: EventSource?
  private var isOpen = true
  private let onConnection: @LoopActor (ByteStream) -> Void
  private let onStranger: @LoopActor (String) -> Void
  private static var count = 0
  /// How long nobody is let in for want of a descriptor.
  private static let pause: Duration = .milliseconds(100)

  /// - Parameters:
  ///   - onConnection: called with each connection of this process.
  ///   - onStranger: called with the address of each other one.
  /// - Throws: ``ListenError``.
  public init(
    onConnection: @escaping @LoopActor (ByteStream) -> Void, onStranger: @escaping @LoopActor (String) -> Void
  ) throws(ListenError) {
    (self.onConnection, self.onStranger) = (onConnection, onStranger)
    PrivateListener.count += 1
    let number = PrivateListener.count % 60_000
    let host = "127.90.\(number / 250).\(number % 250 + 1)"
    descriptor = try Endpoint.tcp(host: host, port: 0).openListener(mode: nil)
    guard let bound = SocketAddress(of: descriptor, { getsockname($0, $1, $2) }) else {
      preconditionFailure("a listening socket has an address")
    }
    endpoint = .tcp(host: host, port: bound.port)
    address = endpoint.description
    waitForConnections()
  }

  isolated deinit { close() }

  /// Stops listening; connections stay.
  public func close() {
    guard isOpen else { return }
    isOpen = false
    arrivals?.cancel()
    Glibc.close(descriptor)
  }

  private func waitForConnections() {
    arrivals = EventSource(reading: descriptor) { [weak self] in self?.accept() }
  }

  /// One connection; as long as there are more, the loop comes back.
  private func accept() {
    let accepted = Glibc.accept(descriptor, nil, nil)
    guard accepted >= 0 else {
      // It stays the next in line, and the loop would come back without end.
      if errno == EMFILE || errno == ENFILE { rest() }
      return
    }
    _ = fcntl(accepted, F_SETFD, FD_CLOEXEC)
    _ = fcntl(accepted, F_SETFL, O_NONBLOCK)
    guard let peer = SocketAddress(of: accepted, { getpeername($0, $1, $2) }),
      let own = SocketAddress(of: accepted, { getsockname($0, $1, $2) })
    else {
      Glibc.close(accepted)
      return
    }
    guard PrivateListener.hasSocket(at: peer, connectedTo: own) else {
      Glibc.close(accepted)
      return onStranger("\(peer.host ?? ""):\(peer.port)")
    }
    setOption(TCP_NODELAY, level: Int32(IPPROTO_TCP), of: accepted)
    if let stream = try? ByteStream(accepted, to: endpoint, tls: nil) { onConnection(stream) }
  }

  private func rest() {
    arrivals?.cancel()
    LoopClock.system.schedule(after: PrivateListener.pause) { [weak self] in
      if let self, isOpen { waitForConnections() }
    }
  }

  /// Whether a socket of this process is the other end. Both addresses count: the kernel gives one local port to several
  /// programs, as long as they connect to different places.
  private static func hasSocket(at address: SocketAddress, connectedTo peer: SocketAddress) -> Bool {
    let names = (try? Files.list("/proc/self/fd")) ?? []
    return names.compactMap { Int32($0) }.contains { descriptor in
      SocketAddress(of: descriptor, { getsockname($0, $1, $2) }) == address
        && SocketAddress(of: descriptor, { getpeername($0, $1, $2) }) == peer
    }
  }
}

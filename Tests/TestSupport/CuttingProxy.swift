internal import Glibc
internal import Reactor

/// A TCP proxy in front of a ZooKeeper that understands the protocol well enough to break a connection
/// at a chosen request: before the server has it, after, or after it was carried out but before the
/// answer arrived.
///
/// `@unchecked Sendable`: the descriptors belong to the proxy's thread after ``init``; what tests change
/// stands in `plan`.
public final class CuttingProxy: @unchecked Sendable {
  /// Where a connection breaks.
  public enum Cut: Sendable {
    /// The server never sees the request.
    case beforeRequest
    /// The server has the request; whether it carries it out is its own affair.
    case afterRequest
    /// The server has answered, nobody hears it.
    case beforeAnswer
  }

  /// Numbers of ZooKeeper's requests.
  /// The number of `create`.
  public static let create: Int32 = 1
  /// The number of `delete`.
  public static let delete: Int32 = 2
  /// The number of `exists`.
  public static let exists: Int32 = 3
  /// The number of `getData`.
  public static let getData: Int32 = 4
  /// The number of `setData`.
  public static let setData: Int32 = 5
  /// The number of `getChildren`.
  public static let getChildren: Int32 = 8

  /// The number of `multiRead`, which servers have from 3.6.
  public static let multiRead: Int32 = 22

  private struct Plan {
    var cut: Cut?
    var operation: Int32 = 0
    var seen: [Int32: Int] = [:]
    var cuts = 0
    var isRefusing = false
    var isOld = false
    var isStopped = false
  }

  /// Where it listens.
  public let port: Int
  private let plan = Locked(Plan())
  private let listener: Int32
  private let serverPort: Int
  private var pairs: [Pair] = []

  private struct Pair {
    var client: Int32
    var server: Int32
    var request: [UInt8] = []
    var hasConnected = false
    /// Break at the answer to this request.
    var doomed: Int32?
    var answer: [UInt8] = []
  }

  /// Starts a proxy in front of a server on this host.
  public init(serverPort: Int) throws {
    self.serverPort = serverPort
    port = try freePort()
    listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var yes: Int32 = 1
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = CuttingProxy.loopback(port)
    let isListening = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0 && listen(listener, 64) == 0
      }
    }
    guard isListening else { throw ServerTrouble(description: "the proxy cannot listen: errno \(errno)") }
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, runProxy, Unmanaged.passRetained(self).toOpaque())
    guard code == 0 else { throw ServerTrouble(description: "no thread for the proxy: \(code)") }
    pthread_detach(thread)
  }

  /// Its address, as a connection string.
  public var connection: String { "127.0.0.1:\(port)" }

  /// The next request of this kind breaks its connection; the ones after it pass.
  public func breakNext(_ operation: Int32, _ cut: Cut) {
    plan.withLock {
      $0.cut = cut
      $0.operation = operation
    }
  }

  /// From now on the server seems to be one before 3.6: it takes neither reading of many nodes nor recursive watches.
  public func pretendOldServer() { plan.withLock { $0.isOld = true } }

  /// How many connections were broken.
  public var cuts: Int { plan.withLock { $0.cuts } }

  /// How many requests of a kind came by.
  public func count(_ operation: Int32) -> Int { plan.withLock { $0.seen[operation, default: 0] } }

  /// While true every connection is broken and new ones are refused.
  public func refuse(_ isRefusing: Bool) { plan.withLock { $0.isRefusing = isRefusing } }

  /// Ends the thread and all connections.
  public func stop() { plan.withLock { $0.isStopped = true } }

  private static func loopback(_ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return address
  }

  // MARK: The thread

  fileprivate func work() {
    while !plan.withLock({ $0.isStopped }) {
      if plan.withLock({ $0.isRefusing }) { while !pairs.isEmpty { drop(0) } }
      var wait = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
      for pair in pairs {
        wait.append(pollfd(fd: pair.client, events: Int16(POLLIN), revents: 0))
        wait.append(pollfd(fd: pair.server, events: Int16(POLLIN), revents: 0))
      }
      guard poll(&wait, nfds_t(wait.count), 5) > 0 else { continue }
      // From the back, so that dropping a pair moves none that is still to be looked at.
      for index in pairs.indices.reversed() {
        if wait[2 + 2 * index].revents != 0, !forwardAnswers(index) {
          drop(index)
        } else if wait[1 + 2 * index].revents != 0, !forwardRequests(index) {
          drop(index)
        }
      }
      if wait[0].revents != 0 { acceptOne() }
    }
    while !pairs.isEmpty { drop(0) }
    close(listener)
  }

  private func drop(_ index: Int) {
    let pair = pairs.remove(at: index)
    close(pair.client)
    close(pair.server)
  }

  private func acceptOne() {
    let client = accept(listener, nil, nil)
    guard client >= 0 else { return }
    _ = fcntl(client, F_SETFD, FD_CLOEXEC)
    let server = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var address = CuttingProxy.loopback(serverPort)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    guard isConnected, !plan.withLock({ $0.isRefusing }) else {
      close(client)
      close(server)
      return
    }
    var yes: Int32 = 1
    setsockopt(server, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    setsockopt(client, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, socklen_t(MemoryLayout<Int32>.size))
    pairs.append(Pair(client: client, server: server))
  }

  /// Returns false when the connection is at its end.
  private func forwardRequests(_ index: Int) -> Bool {
    guard let bytes = receive(pairs[index].client) else { return false }
    pairs[index].request += bytes
    while let packet = CuttingProxy.takePacket(&pairs[index].request) {
      // The first packet of a connection has no header.
      let isRequest = pairs[index].hasConnected
      pairs[index].hasConnected = true
      let operation = isRequest ? CuttingProxy.number(packet, 8) : 0
      let cut = isRequest ? planned(operation) : nil
      if cut == .beforeRequest { return false }
      if isRequest, [22, 106].contains(operation), plan.withLock({ $0.isOld }) {
        // What such a server does: the answer "not implemented", and the end of the connection.
        let answer = [0, 0, 0, 16] + packet[4..<8] + [UInt8](repeating: 0, count: 8) + [0xff, 0xff, 0xff, 0xfa]
        _ = sendAll(pairs[index].client, Array(answer))
        return false
      }
      guard sendAll(pairs[index].server, packet) else { return false }
      if cut == .afterRequest { return false }
      if cut == .beforeAnswer { pairs[index].doomed = CuttingProxy.number(packet, 4) }
    }
    return true
  }

  private func forwardAnswers(_ index: Int) -> Bool {
    guard let bytes = receive(pairs[index].server) else { return false }
    pairs[index].answer += bytes
    while let packet = CuttingProxy.takePacket(&pairs[index].answer) {
      if let doomed = pairs[index].doomed, CuttingProxy.number(packet, 4) == doomed { return false }
      guard sendAll(pairs[index].client, packet) else { return false }
    }
    return true
  }

  private func planned(_ operation: Int32) -> Cut? {
    plan.withLock { plan in
      plan.seen[operation, default: 0] += 1
      guard let cut = plan.cut, plan.operation == operation else { return nil }
      plan.cut = nil
      plan.cuts += 1
      return cut
    }
  }

  private static func takePacket(_ buffer: inout [UInt8]) -> [UInt8]? {
    guard buffer.count >= 4 else { return nil }
    let length = 4 + Int(number(buffer, 0))
    guard buffer.count >= length else { return nil }
    defer { buffer.removeFirst(length) }
    return Array(buffer[..<length])
  }

  private static func number(_ bytes: [UInt8], _ offset: Int) -> Int32 {
    guard bytes.count >= offset + 4 else { return 0 }
    return bytes[offset..<offset + 4].reduce(0) { $0 << 8 | Int32($1) }
  }

  private func receive(_ descriptor: Int32) -> [UInt8]? {
    var buffer = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &buffer, buffer.count, 0)
    return count > 0 ? Array(buffer[..<count]) : nil
  }

  private func sendAll(_ descriptor: Int32, _ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { all -> Int in
        guard let base = all.baseAddress else { return 0 }
        return send(descriptor, base + sent, all.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return false }
      sent += count
    }
    return true
  }
}

private func runProxy(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  Unmanaged<CuttingProxy>.fromOpaque(context).takeRetainedValue().work()
  return nil
}

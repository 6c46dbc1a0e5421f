internal import Glibc
internal import Reactor

/// A plain TCP server on loopback whose behaviour is a script: for peers that no real server imitates.
///
/// Each connection gets a thread of its own and blocking calls, so that it shares no code with what it tests.
public final class LoopbackServer: Sendable {
  /// The port it listens on.
  public let port: Int
  private let descriptor: Int32

  /// Listens on a free port; `script` runs once per connection, which is closed after it.
  public init(host: String = "127.0.0.1", _ script: @escaping @Sendable (LoopbackConnection) -> Void) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = loopback(host: host, port: 0)
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isBound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 64) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    precondition(isBound, "cannot listen on \(host): errno \(errno)")
    self.descriptor = descriptor
    port = Int(UInt16(bigEndian: address.sin_port))
    startThread {
      while true {
        let peer = accept(descriptor, nil, nil)
        if peer < 0 {
          if errno == EINTR || errno == ECONNABORTED { continue }
          break
        }
        startThread {
          script(LoopbackConnection(peer))
          close(peer)
        }
      }
      close(descriptor)
    }
  }

  deinit { shutdown(descriptor, Int32(SHUT_RDWR)) }
}

/// The server's end of one connection, with blocking calls.
public struct LoopbackConnection: Sendable {
  private let descriptor: Int32

  init(_ descriptor: Int32) {
    self.descriptor = descriptor
    var on: Int32 = 1
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  /// Sends all of it; false when the peer is gone.
  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count <= 0 { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Sends text; false when the peer is gone.
  @discardableResult
  public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// At least one byte; empty at the end or when the connection broke.
  public func receive() -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 64 << 10) { $1 = max(0, recv(descriptor, $0.baseAddress, $0.count, 0)) }
  }

  /// Reads until `marker` has arrived or the peer closes; what was read.
  @discardableResult
  public func receive(until marker: String) -> String {
    var text = ""
    while !text.contains(marker) {
      let piece = receive()
      if piece.isEmpty { break }
      text += String(decoding: piece, as: UTF8.self)
    }
    return text
  }

  /// Waits until the peer has closed, ignoring what it sends.
  public func waitForClose() { while !receive().isEmpty {} }

  /// Says that nothing more will be sent; the peer may go on.
  public func endOutput() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Makes the coming close a reset.
  public func resetOnClose() {
    var option = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  }
}

/// Runs `body` on a thread of its own, outside every Swift executor.
public func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var thread = pthread_t()
  let context = Unmanaged.passRetained(Box(body)).toOpaque()
  let code = pthread_create(
    &thread, nil,
    {
      Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body()
      return nil
    }, context)
  precondition(code == 0, "pthread_create failed with \(code)")
  pthread_detach(thread)
}

/// Runs what blocks on a thread of its own. Not `BlockingWork`: its few threads belong to the code under test.
public func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
  await withCheckedContinuation { continuation in
    startThread {
      let result = body()
      Task { @LoopActor in continuation.resume(returning: result) }
    }
  }
}

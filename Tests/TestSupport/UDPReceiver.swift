import Glibc

/// A bound UDP socket on 127.0.0.1, as a StatsD server has one.
public final class UDPReceiver: Sendable {
  /// Where it is bound.
  public let port: Int
  private let descriptor: Int32

  /// Takes a free port.
  public init() {
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var name = sockaddr_in()
    name.sin_family = sa_family_t(AF_INET)
    name.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let code = withUnsafeMutablePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) | getsockname(descriptor, $0, &length)
      }
    }
    precondition(code == 0, "cannot bind a UDP socket: errno \(errno)")
    // What arrives while a loaded machine lets nobody read must not be lost.
    var room: Int32 = 8 << 20
    for option in [SO_RCVBUF, SO_RCVBUFFORCE] {
      setsockopt(descriptor, SOL_SOCKET, option, &room, socklen_t(MemoryLayout<Int32>.size))
    }
    self.descriptor = descriptor
    port = Int(UInt16(bigEndian: name.sin_port))
  }

  deinit { close(descriptor) }

  /// The next datagram's text, if one has arrived.
  public func receive() -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
    return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
  }
}

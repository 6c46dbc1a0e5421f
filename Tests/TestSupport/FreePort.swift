internal import Glibc
internal import Reactor

/// Below the ports the kernel gives to sockets that ask for any (32768 and above): one that is free now stays so
/// until the server it is meant for has it, whatever connects and listens meanwhile.
private let ports = 12_000..<32_000
/// The next one to try. Tests that run at the same time in another process begin elsewhere.
private let nextPort = Locked(ports.lowerBound + Int(getpid()) &* 7919 % ports.count)

/// A port of 127.0.0.1 that nobody listens on, and that no other call in this process gets.
public func freePort() throws -> Int {
  for _ in ports {
    let port = nextPort.withLock { next in
      next = next + 1 < ports.upperBound ? next + 1 : ports.lowerBound
      return next
    }
    if isFree(port) { return port }
  }
  throw ServerTrouble(description: "no port of \(ports) is free")
}

private func isFree(_ port: Int) -> Bool {
  let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
  defer { close(descriptor) }
  var address = loopback(port: port)
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
    }
  }
}

/// The socket address of a port of 127.0.0.1, or of another address that begins with 127.
func loopback(host: String = "127.0.0.1", port: Int) -> sockaddr_in {
  var address = sockaddr_in()
  address.sin_family = sa_family_t(AF_INET)
  address.sin_port = UInt16(port).bigEndian
  inet_pton(AF_INET, host, &address.sin_addr)
  return address
}

import Glibc
import Reactor
import TestSupport

/// A Unix socket in front of another one: passes bytes on, and hangs up after as many as it is told.
final class CuttingRelay: Sendable {
  private let directory = TemporaryDirectory()
  private let descriptor: Int32
  /// Bytes that the next connections may carry, in both directions together; then they are cut.
  private let limits = Locked<[Int]>([])
  private let cutCount = Locked(0)

  var path: String { directory.path + "/s" }
  /// Connections that were cut.
  var cuts: Int { cutCount.withLock { $0 } }

  init(to target: String) {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    let isBound = withUnixAddress(directory.path + "/s") { bind(descriptor, $0, $1) } == 0
    precondition(isBound && listen(descriptor, 64) == 0, "cannot listen: errno \(errno)")
    startThread { [descriptor, limits, cutCount] in
      while true {
        let peer = accept(descriptor, nil, nil)
        if peer < 0 { return }
        let limit = limits.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        startThread {
          if CuttingRelay.pass(peer, target, limit) { cutCount.withLock { $0 += 1 } }
          close(peer)
        }
      }
    }
  }

  deinit {
    shutdown(descriptor, Int32(SHUT_RDWR))
    close(descriptor)
  }

  /// The next connections are cut after so many bytes.
  func cut(after counts: [Int]) { limits.withLock { $0 = counts } }

  /// - Returns: whether the limit ended it.
  private static func pass(_ client: Int32, _ target: String, _ limit: Int?) -> Bool {
    let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    defer { close(server) }
    guard withUnixAddress(target, { connect(server, $0, $1) }) == 0 else { return false }
    var left = limit ?? Int.max
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    var ends = [
      pollfd(fd: client, events: Int16(POLLIN), revents: 0), pollfd(fd: server, events: Int16(POLLIN), revents: 0),
    ]
    while poll(&ends, 2, -1) > 0 {
      for (index, other) in [(0, server), (1, client)] where ends[index].revents != 0 {
        let count = read(ends[index].fd, &buffer, min(buffer.count, left))
        if count <= 0 { return left == 0 }
        _ = send(other, buffer, count, Int32(MSG_NOSIGNAL))
        left -= count
        if left == 0 { return true }
      }
    }
    return false
  }
}

private func withUnixAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
  var address = sockaddr_un()
  address.sun_family = sa_family_t(AF_UNIX)
  withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
  return withUnsafePointer(to: &address) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
      body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
    }
  }
}

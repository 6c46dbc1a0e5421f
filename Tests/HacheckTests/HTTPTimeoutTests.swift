import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// A listener that takes no more connections: whoever connects waits.
private final class FullListener: Sendable {
  let port: Int
  private let descriptors: [Int32]

  init() {
    var descriptors = [socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)]
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
    withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        let isListening =
          bind(descriptors[0], $0, length) == 0 && listen(descriptors[0], 0) == 0
          && getsockname(descriptors[0], $0, &length) == 0
        precondition(isListening, "cannot listen: errno \(errno)")
        // Nobody accepts, and one connection fills the queue.
        for _ in 0..<4 {
          let client = socket(AF_INET, type, 0)
          _ = connect(client, $0, length)
          descriptors.append(client)
        }
      }
    }
    port = Int(UInt16(bigEndian: address.sin_port))
    self.descriptors = descriptors
  }

  deinit { for descriptor in descriptors { close(descriptor) } }
}

@Suite @LoopActor struct HTTPTimeoutTests {
  private func probe(
    port: Int, host: String = "127.0.0.1", tls: Bool = false, open: Duration = .seconds(60),
    handshake: Duration = .seconds(60), read: Duration = .seconds(60), deadline: Duration? = nil
  ) async -> (passed: Bool, detail: String) {
    let settings = HTTPProbe.Settings(
      host: host, port: port, uri: "/", usesTLS: tls, openTimeout: open, handshakeTimeout: handshake,
      readTimeout: read, headers: [], expect: nil)
    return await settings.httpProbe.judged(deadline: deadline ?? settings.deadline)
  }

  private func expectTimeout(_ result: (passed: Bool, detail: String), _ limit: String) {
    #expect(!result.passed)
    #expect(result.detail.contains("did not answer within \(limit)"), "\(result.detail)")
  }

  @Test("a connection that does not come about", arguments: ["127.0.0.1", "localhost"])
  func open(_ host: String) async {
    let listener = FullListener()
    expectTimeout(await probe(port: listener.port, host: host, open: .milliseconds(210)), "0.21 s")
  }

  @Test("a server that says nothing", arguments: ["127.0.0.1", "localhost"])
  func read(_ host: String) async {
    let server = LoopbackServer { $0.waitForClose() }
    expectTimeout(await probe(port: server.port, host: host, read: .milliseconds(220)), "0.22 s")
  }

  @Test func aHandshakeThatDoesNotEnd() async {
    let server = LoopbackServer { $0.waitForClose() }
    let result = await probe(port: server.port, tls: true, handshake: .milliseconds(230))
    expectTimeout(result, "0.23 s")
  }

  @Test("an answer that drips", arguments: ["127.0.0.1", "localhost"])
  func drips(_ host: String) async {
    let server = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n")
      for _ in 0..<20 {
        poll(nil, 0, 25)
        if !connection.send("x") { return }
      }
    }
    // Never silent for long, so all of it is waited for: longer than any one silence, until the deadline.
    let patient = await probe(port: server.port, host: host, read: .seconds(20))
    #expect(patient.passed, "\(patient.detail)")
    expectTimeout(
      await probe(port: server.port, host: host, read: .seconds(20), deadline: .milliseconds(240)), "0.24 s")
  }
}

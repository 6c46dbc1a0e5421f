import Glibc
import Reactor
import TestSupport
import Testing

@testable import Hacheck

/// One deadline for all of a check, however the server spends it.
@Suite struct SlowServerTests {
  @Test(arguments: CheckProtocol.allCases.filter { $0 != .spool && $0 != .tcp }, [true, false])
  @LoopActor func aServerThatDripsIsDownAtTheDeadline(_ kind: CheckProtocol, _ drips: Bool) async throws {
    let beginning: [UInt8] =
      switch kind {
      case .http: Array("HTTP/1.1 200 OK\r\nX-Long: ".utf8)
      case .mysql: [255, 0, 0, 0, 10]
      default: []
      }
    let server = LoopbackServer { peer in
      guard drips else { return peer.waitForClose() }
      // Each byte is progress; together they would take for ever.
      peer.send(beginning)
      while peer.send([UInt8(ascii: "2")]) {
        var none = pollfd()
        poll(&none, 0, 50)
      }
    }
    let hacheck = try ServiceFixture {
      $0.healthcheckTimeout = .milliseconds(300)
      ($0.mysqlUsername, $0.mysqlPassword) = ("u", "p")
    }
    let answer = try await hacheck.get("/\(kind)/svc/\(server.port)/x")
    #expect(answer.status == 503)
    #expect(answer.text.contains(/timed out|within|TLS/), "\(answer.text)")
  }
}

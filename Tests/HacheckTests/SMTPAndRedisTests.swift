import Reactor
import TestSupport
import Testing

@testable import Hacheck

/// What servers say that no real one can be made to say at will.
@Suite struct SMTPTests {
  static let dialogues: [(greeting: String, reply: String, status: Int, text: String)] = [
    ("220 hi\r\n", "221 bye\r\n", 200, "Connected in "),
    ("220-one\r\n220 two\r\n", "221 bye\r\n", 200, "Connected in "),
    ("220 x\r\n", "221-bye\r\n221 bye\r\n", 200, "Connected in "),
    ("220 x\r\n", "500 what\r\n", 503, "Got unexpected QUIT response `500 what`"),
    ("220 x\r\n", "\r\n", 503, "Got unexpected QUIT response ``"),
    ("220 x\r\n", "", 503, "Peer unexpectedly closed connection"),
  ]

  @Test(arguments: dialogues)
  @LoopActor func smtpIsAskedToQuit(_ c: (greeting: String, reply: String, status: Int, text: String)) async throws {
    let server = ScriptedServer([.send(c.greeting), .receive, .send(c.reply)])
    defer { server.stop() }
    let answer = try await ServiceFixture().get("/smtp/mail/\(server.port)/status")
    #expect(answer.status == c.status)
    #expect(answer.text.hasPrefix(c.text), "\(answer.text)")
  }

  @Test @LoopActor func aServerThatTakesNoMailIsDown() async throws {
    let heard = Locked("")
    let server = LoopbackServer { peer in
      peer.send("554-no\r\n554 mail here\r\n")
      let text = peer.receive(until: "\r\n")
      heard.withLock { $0 += text }
    }
    let answer = try await ServiceFixture().get("/smtp/mail/\(server.port)")
    #expect(answer.status == 503)
    #expect(answer.text == "Got unexpected greeting `554 mail here`")
    try await eventually("the server was told goodbye") { heard.withLock { $0 } == "QUIT\r\n" }
  }

  @Test(arguments: [("250-x\r\n250 HELP\r\n", 200), ("502 what\r\n", 503), ("250-x\r\n550 no\r\n", 503)])
  @LoopActor func anIntroductionMustBeAccepted(_ reply: String, _ status: Int) async throws {
    let heard = Locked("")
    let server = LoopbackServer { peer in
      peer.send("220 hi\r\n")
      let hello = peer.receive(until: "\r\n")
      heard.withLock { $0 = hello }
      peer.send(reply)
      if !peer.receive(until: "\r\n").isEmpty { peer.send("221 bye\r\n") }
    }
    let answer = try await ServiceFixture { $0.smtpHello = "probe.test" }.get("/smtp/mail/\(server.port)")
    #expect(answer.status == status, "\(answer.text)")
    #expect(heard.withLock { $0 } == "EHLO probe.test\r\n")
  }

  @Test @LoopActor func aGreetingWithoutEndIsCut() async throws {
    let server = LoopbackServer { peer in while peer.send("220-more\r\n") {} }
    let answer = try await ServiceFixture().get("/smtp/mail/\(server.port)")
    #expect(answer.status == 503)
    #expect(answer.text == "a reply of more than 100 lines")
  }
}

@Suite struct RedisTests {
  static let replies: [(reply: String, status: Int, text: String)] = [
    ("+PONG\r\n", 200, "Connected in "),
    ("-LOADING Redis is loading the dataset in memory\r\n", 503, "Redis said LOADING Redis is loading"),
    ("-NOAUTH Authentication required.\r\n", 503, "Redis said NOAUTH Authentication required."),
    ("-ERR \u{1b}[2J\r\n", 503, "Redis said ERR \\u{1b}[2J"),
    ("+OK\r\n", 503, "Redis said PING was answered with `+OK`"),
    ("$4\r\nPONG\r\n", 503, "PING was answered with `$4`, which is not Redis"),
    ("HTTP/1.1 400 Bad Request\r\n\r\n", 503, "PING was answered with `HTTP/1.1 400 Bad Request`, which"),
    ("\r\n", 503, "PING was answered with ``, which is not Redis"),
    ("+PO", 503, "Peer unexpectedly closed connection"), ("", 503, "Peer unexpectedly closed connection"),
    (String(repeating: "+", count: 5000), 503, "Unexpected error 127.0.0.1:"),
  ]

  @Test(arguments: replies)
  @LoopActor func onlyAPongIsHealthy(_ c: (reply: String, status: Int, text: String)) async throws {
    let heard = Locked("")
    let server = LoopbackServer { peer in
      let command = peer.receive(until: "PING\r\n")
      heard.withLock { $0 = command }
      peer.send(c.reply)
    }
    let answer = try await ServiceFixture().get("/redis/cache/\(server.port)")
    #expect(answer.status == c.status)
    #expect(answer.text.hasPrefix(c.text), "\(answer.text)")
    #expect(heard.withLock { $0 } == "*1\r\n$4\r\nPING\r\n")
  }

  @Test func commandsSayTheirLengths() {
    #expect(RedisProbe.command(["AUTH", "é\r\n"]) == "*2\r\n$4\r\nAUTH\r\n$4\r\né\r\n\r\n")
  }
}

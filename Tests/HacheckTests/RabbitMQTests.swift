import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

private func probe(
  port: Int, username: String = "guest", password: String = "guest", virtualHost: String = "/"
) -> RabbitMQProbe {
  RabbitMQProbe(
    endpoint: .tcp(host: "127.0.0.1", port: port), username: username, password: password, virtualHost: virtualHost)
}

/// One broker for all: it takes seconds to start.
@Suite @LoopActor struct RabbitMQServerTests {
  @Test func aRealBroker() async throws {
    let server = try await RabbitMQServer()
    // It listens a little before its user and its virtual host are there.
    var last = ""
    try await eventually("the broker is alive; \(last)", within: .seconds(120)) {
      let result = await probe(port: server.port).judged(deadline: .seconds(30))
      last = result.detail
      return result.passed
    }
    let fine = await probe(port: server.port).judged(deadline: .seconds(60))
    #expect(fine.passed)
    #expect(fine.detail == "published and got a message")
    // Side by side they may take each other's messages; each still gets one.
    let tasks = (0..<20).map { _ in Task.immediate { await probe(port: server.port).judged(deadline: .seconds(60)) } }
    for task in tasks { #expect(await task.value.passed) }
    let stranger = await probe(port: server.port, password: "wrong").judged(deadline: .seconds(60))
    #expect(!stranger.passed)
    #expect(stranger.detail.hasPrefix("the broker refused: 403 ACCESS_REFUSED"))
    let nowhere = await probe(port: server.port, virtualHost: "/none").judged(deadline: .seconds(60))
    #expect(!nowhere.passed)
    #expect(nowhere.detail.hasPrefix("the broker refused: 530 NOT_ALLOWED"))
    await server.kill()
    try await eventually("nobody listens any more") {
      let gone = await probe(port: server.port).judged(deadline: .seconds(60))
      return !gone.passed && gone.detail.contains("Connection refused")
    }
  }
}

/// Brokers that no real one imitates.
@Suite @LoopActor struct ScriptedBrokerTests {
  /// A method frame.
  private nonisolated static func method(
    _ method: AMQPMethod, channel: UInt16 = 1, _ arguments: (inout AMQPWriter) -> Void = { _ in }
  ) -> [UInt8] {
    var writer = AMQPWriter()
    writer.short(method.group)
    writer.short(method.index)
    arguments(&writer)
    return AMQPFrame(kind: .method, channel: channel, payload: writer.bytes).bytes
  }

  /// Everything up to the open channel.
  private nonisolated static var greetings: [[UInt8]] {
    [
      method(.connectionStart, channel: 0),
      method(.connectionTune, channel: 0) {
        $0.short(2047)
        $0.long(131_072)
        $0.short(60)
      },
      method(.connectionOpenOK, channel: 0), method(.channelOpenOK), method(.queueDeclareOK),
    ]
  }

  private nonisolated static func getOK(size: Int) -> [UInt8] {
    var header = AMQPWriter()
    header.short(60)
    header.short(0)
    header.longLong(UInt64(size))
    header.short(0)
    return method(.basicGetOK) { $0.longLong(7) } + AMQPFrame(kind: .header, channel: 1, payload: header.bytes).bytes
  }

  private nonisolated static func body(_ size: Int) -> [UInt8] {
    AMQPFrame(kind: .body, channel: 1, payload: [UInt8](repeating: 0x61, count: size)).bytes
  }

  /// Answers each arrival with the next of `replies`, and falls silent, or hangs up, after the last.
  private func converse(
    _ replies: [[UInt8]], hangsUp: Bool = false, deadline: Duration = .seconds(60)
  ) async -> (passed: Bool, detail: String) {
    let server = LoopbackServer { connection in
      for reply in replies {
        if connection.receive().isEmpty || !connection.send(reply) { return }
      }
      if hangsUp { _ = connection.receive() } else { connection.waitForClose() }
    }
    return await probe(port: server.port).judged(deadline: deadline)
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var replies: [[UInt8]]
    var passed = false
    var detail: String
    var testDescription: String { name }
  }

  nonisolated static var heartbeat: [UInt8] { AMQPFrame(kind: .heartbeat, channel: 0, payload: []).bytes }
  nonisolated static var goodbye: [UInt8] { method(.connectionCloseOK, channel: 0) }

  nonisolated static var cases: [Case] {
    let returned = method(.basicReturn) {
      $0.short(312)
      $0.shortString("NO_ROUTE")
    }
    let closing = method(.channelClose) {
      $0.short(406)
      $0.shortString("PRECONDITION_FAILED - inequivalent arg")
    }
    return [
      Case(
        name: "a message in two bodies, heartbeats between",
        replies: greetings
          + [getOK(size: 30) + heartbeat + body(10) + body(20) + heartbeat + goodbye], passed: true,
        detail: "published and got a message"),
      Case(
        name: "an empty message", replies: greetings + [getOK(size: 0) + goodbye], passed: true,
        detail: "published and got a message"),
      Case(
        name: "an empty queue", replies: greetings + [method(.basicGetEmpty) + goodbye],
        detail: "the queue was empty after publishing to it"),
      Case(
        name: "a message that comes back", replies: greetings + [returned],
        detail: "the broker returned the message: 312 NO_ROUTE"),
      Case(
        name: "a queue of another kind", replies: Array(greetings.dropLast()) + [closing],
        detail: "the broker refused: 406 PRECONDITION_FAILED - inequivalent arg"),
      Case(
        name: "another version", replies: [Array("AMQP".utf8) + [0, 1, 0, 0]],
        detail: "the answer is not AMQP 0-9-1: the broker speaks another version"),
      Case(
        name: "HTTP", replies: [Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8)],
        detail: "the answer is not AMQP 0-9-1: a frame of type 72"),
      Case(
        name: "a frame that is too long", replies: [[1, 0, 0, 0x7f, 0xff, 0xff, 0xff]],
        detail: "the answer is not AMQP 0-9-1: a frame of 2147483647 bytes"),
      Case(
        name: "a frame without its end", replies: [[1, 0, 0, 0, 0, 0, 1, 0, 0]],
        detail: "the answer is not AMQP 0-9-1: a frame does not end where it should"),
      Case(
        name: "a method cut short", replies: [[1, 0, 0, 0, 0, 0, 1, 0, 0xCE]],
        detail: "the answer is not AMQP 0-9-1: a frame ends too early"),
      Case(
        name: "a method that is not due", replies: [method(.basicGetOK)],
        detail: "the answer is not AMQP 0-9-1: method 60.71 is not due"),
      Case(
        name: "more body than was said", replies: greetings + [getOK(size: 3) + body(4)],
        detail: "the answer is not AMQP 0-9-1: no body where a message's is due"),
    ]
  }

  @Test("brokers", arguments: cases) func broker(_ c: Case) async {
    let result = await converse(c.replies)
    #expect(result.passed == c.passed)
    #expect(result.detail == c.detail)
  }

  @Test func hangingUpAtAnyMoment() async {
    for count in 0...ScriptedBrokerTests.greetings.count {
      let result = await converse(Array(ScriptedBrokerTests.greetings.prefix(count)), hangsUp: true)
      #expect(!result.passed)
    }
  }

  @Test func silenceEndsAtTheDeadline() async {
    for count in [0, 3] {
      let result = await converse(Array(ScriptedBrokerTests.greetings.prefix(count)), deadline: .milliseconds(300))
      #expect(!result.passed)
      #expect(result.detail.contains("did not answer within"))
    }
  }

  private nonisolated static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  private nonisolated static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2000

  /// Damaged conversations: whatever the broker says, the check comes to an end with a reason.
  @Test func fuzzedConversations() async {
    let seed = ScriptedBrokerTests.seed
    var random = SeededGenerator(seed: seed)
    let whole = ScriptedBrokerTests.greetings + [ScriptedBrokerTests.getOK(size: 0) + ScriptedBrokerTests.goodbye]
    for round in 0..<ScriptedBrokerTests.rounds / 50 {
      var replies = whole
      let place = Int.random(in: replies.indices, using: &random)
      replies[place] = ScriptedBrokerTests.damaged(replies[place], using: &random)
      let result = await converse(replies, hangsUp: true, deadline: .milliseconds(200))
      #expect(!result.detail.isEmpty, "seed \(seed), round \(round)")
    }
  }

  /// The readers alone, on many more inputs.
  @Test func fuzzedFrames() {
    var random = SeededGenerator(seed: ScriptedBrokerTests.seed)
    for _ in 0..<ScriptedBrokerTests.rounds {
      let bytes = ScriptedBrokerTests.damaged(
        ScriptedBrokerTests.greetings[1] + ScriptedBrokerTests.getOK(size: 9), using: &random)
      if let head = try? AMQPFrame.head(Array(bytes.prefix(AMQPFrame.headSize))) {
        #expect(head.size <= AMQPFrame.longest)
      }
      var reader = AMQPReader(bytes)
      var left = bytes.count
      while let text = try? reader.shortString(), let long = try? reader.longString(), let number = try? reader.long() {
        left -= 9 + long.count
        #expect(left >= 0, "read beyond the end: \(text) \(number)")
      }
    }
  }

  private nonisolated static func damaged(_ bytes: [UInt8], using random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: bytes.indices, using: &random)
      switch Int.random(in: 0..<3, using: &random) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: index)
      default: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
      }
    }
    return bytes
  }
}

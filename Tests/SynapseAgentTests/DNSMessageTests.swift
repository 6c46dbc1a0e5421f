import Glibc
import Reactor
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("DNS messages") struct DNSMessageTests {
  private static let question = DNSQuestion(id: 0x1234, name: "Web.Test.", type: .ipv4)!

  private static func head(flags: UInt16 = 0x8180, answers: UInt8 = 0) -> [UInt8] {
    [0x12, 0x34, UInt8(flags >> 8), UInt8(flags & 0xFF), 0, 1, 0, answers, 0, 0, 0, 0]
      + [3] + Array("web".utf8) + [4] + Array("test".utf8) + [0, 0, 1, 0, 1]
  }

  /// A record whose owner is a pointer to the question's name, or given.
  private static func record(_ type: UInt8, _ data: [UInt8], owner: [UInt8] = [0xC0, 12]) -> [UInt8] {
    owner + [0, type, 0, 1, 0, 0, 0, 60, 0, UInt8(data.count)] + data
  }

  @Test func aQuestionOnTheWire() throws {
    #expect(
      DNSMessageTests.question.bytes == [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]
        + [3, 119, 101, 98, 4, 116, 101, 115, 116, 0, 0, 1, 0, 1])
    let long = String(repeating: "a", count: 64)
    for name in ["", ".", "a..b", long, [String](repeating: "abcdefg", count: 32).joined(separator: ".")] {
      #expect(DNSQuestion(id: 1, name: name, type: .ipv6) == nil, "\(name)")
    }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]
    let reply: DNSReply?
  }

  static let cases = [
    Case(testDescription: "no records", bytes: head(), reply: .addresses([])),
    Case(
      testDescription: "two addresses, one of another type and one of another name",
      bytes: head(answers: 4) + record(1, [10, 0, 0, 2]) + record(1, [10, 0, 0, 1])
        + record(28, [UInt8](repeating: 1, count: 16)) + record(1, [10, 9, 9, 9], owner: [1, 120, 0]),
      reply: .addresses(["10.0.0.2", "10.0.0.1"])),
    Case(
      testDescription: "an alias after what it stands for",
      bytes: head(answers: 2) + record(1, [10, 0, 0, 1], owner: [1, 65, 0xC0, 16]) + record(5, [1, 97, 0xC0, 16]),
      reply: .addresses(["10.0.0.1"])),
    Case(testDescription: "no such name", bytes: head(flags: 0x8183), reply: .noSuchName),
    Case(testDescription: "truncated", bytes: head(flags: 0x8380), reply: .truncated),
    Case(testDescription: "server failure", bytes: head(flags: 0x8182), reply: .refused(code: 2)),
    Case(testDescription: "a question", bytes: head(flags: 0x0180), reply: nil),
    Case(testDescription: "another id", bytes: [9, 9] + head().dropFirst(2), reply: nil),
    Case(testDescription: "an answer without its records", bytes: head(answers: 1), reply: nil),
    Case(
      testDescription: "a pointer at itself", bytes: head(answers: 1) + record(1, [1, 2, 3, 4], owner: [0xC0, 26]),
      reply: nil),
    Case(testDescription: "nothing", bytes: [], reply: nil),
  ]

  @Test("answers", arguments: cases) func answers(_ c: Case) {
    #expect(DNSReply(c.bytes, to: DNSMessageTests.question) == c.reply)
  }

  @Test func addressesOfVersion6() throws {
    let question = try #require(DNSQuestion(id: 0x1234, name: "web.test", type: .ipv6))
    var head = DNSMessageTests.head(answers: 1)
    head[head.count - 3] = 28
    let texts: [([UInt8], String)] = [
      ([0x20, 1, 0xD, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "2001:db8::1"),
      ([UInt8](repeating: 0, count: 16), "::"),
      ([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 1, 0, 1], "1:0:1::1:1:1"),
      ([0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 0], "1:1:1:1:1:1:1:0"),
    ]
    for (data, text) in texts {
      #expect(DNSReply(head + DNSMessageTests.record(28, data), to: question) == .addresses([text]))
    }
  }

  /// Whatever a name server sends: no trap, no endless loop, and nothing but addresses.
  @Test func fuzzAnswers() {
    let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 5_000
    var generator = SeededGenerator(seed: seed)
    for round in 0..<rounds {
      guard var bytes = DNSMessageTests.cases.randomElement(using: &generator)?.bytes else { continue }
      for _ in 0..<Int.random(in: 1...6, using: &generator) where !bytes.isEmpty {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes.remove(at: place)
        case 1: bytes[place] = [0, 0xC0, 0xFF, 12].randomElement(using: &generator) ?? 0
        case 2: bytes[place] = .random(in: 0...255, using: &generator)
        default: bytes.insert(.random(in: 0...255, using: &generator), at: place)
        }
      }
      guard case .addresses(let found)? = DNSReply(bytes, to: DNSMessageTests.question) else { continue }
      for text in found {
        #expect(text.split(separator: ".").compactMap { UInt8($0) }.count == 4, "seed \(seed), round \(round)")
      }
    }
  }

  @Test func theSystemsFile() {
    let conf = ResolverConfiguration(
      resolvConf: """
        # a comment
        nameserver 10.0.0.1 ; another
        nameserver nonsense
        nameserver 2001:db8::1
        domain one.test
        search two.test three.test bad..name
        options ndots:2 timeout:99 attempts:0 rotate
        """)
    #expect(conf.nameservers == [.tcp(host: "10.0.0.1", port: 53), .tcp(host: "2001:db8::1", port: 53)])
    #expect(conf.search == ["two.test", "three.test"])
    #expect(conf.timeout == .seconds(30) && conf.attempts == 1)
    #expect(conf.candidates(for: "web.a") == ["web.a.two.test", "web.a.three.test", "web.a"])
    #expect(conf.candidates(for: "web.a.b") == ["web.a.b", "web.a.b.two.test", "web.a.b.three.test"])
    #expect(conf.candidates(for: "web.") == ["web"])
    #expect(ResolverConfiguration(resolvConf: "").nameservers == [.tcp(host: "127.0.0.1", port: 53)])
  }
}

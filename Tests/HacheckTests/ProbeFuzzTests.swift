import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// Seeded noise, close to what servers say, for every probe, delivered in pieces of any size: each check has a result,
/// and nothing but the real answer is healthy.
@Suite struct ProbeFuzzTests {
  private static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  private static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2000
  /// Conversations over sockets cost more than calls.
  private static let conversations = max(20, rounds / 20)

  /// A server whose every connection says `bytes` in the given pieces, whatever it hears, and closes.
  private static func server(_ pieces: [[UInt8]]) -> LoopbackServer {
    LoopbackServer { peer in
      for piece in pieces { peer.send(piece) }
      peer.endOutput()
      peer.waitForClose()
    }
  }

  private static func pieces(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [[UInt8]] {
    var pieces: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty, pieces.count < 30 {
      let count = min(rest.count, Int.random(in: 1...12, using: &random))
      pieces.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    return rest.isEmpty ? pieces : pieces + [Array(rest)]
  }

  /// `bytes` with some of them changed, dropped, doubled or cut off.
  private static func damaged(_ bytes: [UInt8], _ random: inout SeededGenerator) -> [UInt8] {
    var bytes = bytes
    for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
      let index = Int.random(in: bytes.indices, using: &random)
      switch Int.random(in: 0..<5, using: &random) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes.remove(at: index)
      case 2: bytes.insert(bytes[index], at: index)
      case 3: bytes.removeLast(bytes.count - index)
      default: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      }
    }
    return bytes
  }

  @Test @LoopActor func redisAndSMTPRepliesFuzz() async throws {
    var random = SeededGenerator(seed: ProbeFuzzTests.seed)
    let redis = Array("+OK\r\n+PONG\r\n".utf8)
    let mail = Array("220-a\r\n220 b\r\n250-x\r\n250 HELP\r\n221 bye\r\n".utf8)
    for round in 0..<ProbeFuzzTests.conversations {
      let (said, spoken) = (ProbeFuzzTests.damaged(redis, &random), ProbeFuzzTests.damaged(mail, &random))
      let cache = ProbeFuzzTests.server(ProbeFuzzTests.pieces(said, &random))
      let post = ProbeFuzzTests.server(ProbeFuzzTests.pieces(spoken, &random))
      let found = await RedisProbe(endpoint: cache.endpoint, password: "p").run(deadline: .seconds(300))
      // Bytes after the answer were not asked for; bytes before it are another answer.
      let lines = said.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map(\.text)
      let isPong = lines.count > 2 && lines[0] == "+OK" && lines[1] == "+PONG"
      #expect(found.isHealthy == isPong, "seed \(ProbeFuzzTests.seed), round \(round): \(said) gave \(found)")
      let greeted = await SMTPProbe(endpoint: post.endpoint, hello: "x").run(deadline: .seconds(300))
      if spoken == mail { #expect(greeted == .healthy(), "seed \(ProbeFuzzTests.seed), round \(round)") }
      if greeted.isHealthy {
        let text = String(decoding: spoken, as: UTF8.self)
        #expect(text.contains("221"), "seed \(ProbeFuzzTests.seed), round \(round): \(spoken)")
      }
    }
  }

  @Test @LoopActor func mysqlRepliesFuzz() async throws {
    var random = SeededGenerator(seed: ProbeFuzzTests.seed)
    for round in 0..<ProbeFuzzTests.conversations {
      let words = MySQLTests.conversations.randomElement(using: &random) ?? []
      let whole = words.flatMap { $0 }
      let bytes = ProbeFuzzTests.damaged(whole, &random)
      let server = ProbeFuzzTests.server(ProbeFuzzTests.pieces(bytes, &random))
      let probe = MySQLProbe(
        endpoint: server.endpoint, username: "u", password: "p", selectsOne: Bool.random(using: &random),
        serverKey: .retrieved)
      let found = await probe.run(deadline: .seconds(300))
      if bytes == whole, !probe.selectsOne {
        #expect(found == .healthy(), "seed \(ProbeFuzzTests.seed), round \(round): \(found)")
      }
    }
  }

  /// The packets' own readers, on anything.
  @Test func mysqlPacketsFuzz() {
    var random = SeededGenerator(seed: ProbeFuzzTests.seed)
    let known = MySQLTests.conversations.flatMap { $0 }
    for round in 0..<ProbeFuzzTests.rounds {
      let bytes = ProbeFuzzTests.damaged(Array((known.randomElement(using: &random) ?? []).dropFirst(4)), &random)
      if let greeting = MySQLPacket.greeting(bytes) {
        #expect(greeting.salt.count == 20, "seed \(ProbeFuzzTests.seed), round \(round)")
      }
      if let request = MySQLPacket.switchRequest(bytes) {
        #expect(request.salt.count == 20, "seed \(ProbeFuzzTests.seed), round \(round)")
      }
      let text = MySQLPacket.errorText(bytes).oneLine()
      #expect(!text.utf8.contains { $0 < 0x20 }, "seed \(ProbeFuzzTests.seed), round \(round)")
    }
  }

  /// HAProxy's header of its state, as it is, damaged: it is read as before or refused, never as another address.
  @Test func stateHeadersFuzz() {
    var random = SeededGenerator(seed: ProbeFuzzTests.seed)
    let whole = Array("UP 2/3; address=127.0.0.1; port=31000; name=web/x; node=n; weight=1/2; scur=13/22; qcur=0".utf8)
    for round in 0..<ProbeFuzzTests.rounds {
      let text = String(decoding: ProbeFuzzTests.damaged(whole, &random), as: UTF8.self)
      guard let state = try? ServerState(haproxy: text) else { continue }
      if let port = state.port {
        #expect((0...65535).contains(port), "seed \(ProbeFuzzTests.seed), round \(round)")
        #expect(text.contains("port"), "seed \(ProbeFuzzTests.seed), round \(round): \(text)")
      }
      if let address = state.address {
        #expect(IPAddress(address.description) == address, "seed \(ProbeFuzzTests.seed), round \(round)")
      }
    }
  }
}

extension LoopbackServer {
  fileprivate var endpoint: Endpoint { .tcp(host: "127.0.0.1", port: port) }
}

extension ArraySlice<UInt8> {
  /// A line without its `\r`.
  fileprivate var text: String { String(decoding: last == 0x0d ? dropLast() : self, as: UTF8.self) }
}

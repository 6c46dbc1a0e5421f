internal import Reactor
internal import SmartStack

/// Why a name could not be looked up; a name that does not exist is no failure.
struct DNSFailure: Error, Equatable, CustomStringConvertible {
  let name: String
  /// What each server did instead of answering.
  let reasons: [String]

  var description: String { "\(name) cannot be looked up: \(reasons.joined(separator: "; "))" }
}

/// Looks names up at name servers; `/etc/hosts` has no say, as with the original.
@LoopActor struct DNSResolver {
  private let configuration: ResolverConfiguration

  init(_ configuration: ResolverConfiguration) { self.configuration = configuration }

  /// A resolver as the system is configured at this moment.
  static func system() async throws -> DNSResolver {
    let text = try await BlockingWork.run { () -> String in
      do throws(FileError) {
        return String(decoding: try Files.read("/etc/resolv.conf", limit: 1 << 16), as: UTF8.self)
      } catch {
        if error.isMissing { return "" }
        throw error
      }
    }
    return DNSResolver(ResolverConfiguration(resolvConf: text))
  }

  /// The addresses of `name` of one type, sorted; empty when it has none or does not exist.
  /// - Throws: ``DNSFailure`` when no server says, or `CancellationError`.
  func addresses(of name: String, type: DNSRecordType) async throws -> [String] {
    for candidate in configuration.candidates(for: name) {
      if case .addresses(let found) = try await ask(candidate, type) { return found.sorted() }
    }
    return []
  }

  private func ask(_ name: String, _ type: DNSRecordType) async throws -> DNSReply {
    guard let question = DNSQuestion(id: .random(in: .min ... .max), name: name, type: type) else {
      return .noSuchName
    }
    var reasons: [String] = []
    for _ in 0..<configuration.attempts {
      for server in configuration.nameservers {
        do {
          switch try await ask(question, server) {
          case .refused(let code): note("\(server) answers \(DNSResolver.word(for: code))", &reasons)
          case .truncated: note("\(server) sends half of an answer", &reasons)
          case let reply: return reply
          }
        } catch let error as CancellationError {
          throw error
        } catch {
          note("\(error)", &reasons)
        }
      }
    }
    throw DNSFailure(name: name, reasons: reasons)
  }

  private func note(_ reason: String, _ reasons: inout [String]) {
    if !reasons.contains(reason) { reasons.append(reason) }
  }

  private func ask(_ question: DNSQuestion, _ server: Endpoint) async throws -> DNSReply {
    let datagram = try await DatagramExchange.ask(
      question.bytes, at: server, deadline: configuration.timeout, isAnswer: { DNSReply($0, to: question) != nil })
    guard let reply = DNSReply(datagram, to: question), reply == .truncated else {
      return DNSReply(datagram, to: question) ?? .truncated
    }
    return try await askByStream(question, server)
  }

  /// RFC 7766: over TCP each message has its length before it.
  private func askByStream(_ question: DNSQuestion, _ server: Endpoint) async throws -> DNSReply {
    let stream = try await ByteStream.connect(to: server, deadline: configuration.timeout)
    defer { stream.close() }
    let bytes = question.bytes
    try stream.write([UInt8(bytes.count >> 8), UInt8(bytes.count & 0xFF)] + bytes)
    let head = try await stream.read(exactly: 2)
    let answer = try await stream.read(exactly: Int(head[0]) << 8 | Int(head[1]))
    guard let reply = DNSReply(answer, to: question) else {
      throw StreamError.failed(server, reason: "the answer is no DNS message for \(question.name)")
    }
    return reply
  }

  private static func word(for code: Int) -> String {
    switch code {
    case 1: "FORMERR"
    case 2: "SERVFAIL"
    case 4: "NOTIMP"
    case 5: "REFUSED"
    default: "with code \(code)"
    }
  }
}

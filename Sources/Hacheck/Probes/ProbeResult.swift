public import Reactor

/// What came of asking a server.
public enum ProbeResult: Equatable, Sendable, CustomStringConvertible {
  /// It answered as a healthy server does; in words for the log.
  case healthy(_ detail: String = "healthy")
  /// It answered over HTTP; whether that is healthy is for the caller to say.
  case answered(status: Int, body: [UInt8])
  /// It speaks the protocol, and said no, in these words.
  case refused(String)
  /// What it said is not the protocol, or a part of it that this probe does not know; a sentence.
  case notUnderstood(String)
  /// The connection did not come about, broke, or the deadline passed.
  case unreachable(StreamError)
  /// It could not be asked, or did not finish in time; a sentence.
  case failed(String)
  /// This host could not ask, for want of descriptors, ports or memory: says nothing about the server; a sentence.
  case inconclusive(String)

  /// Whether the server says of itself that it is healthy.
  var isHealthy: Bool {
    if case .healthy = self { true } else { false }
  }

  /// The result as the log shows it.
  public var description: String {
    switch self {
    case .healthy(let words), .refused(let words), .notUnderstood(let words), .failed(let words),
      .inconclusive(let words):
      words
    case .answered(let status, _): "HTTP \(status)"
    case .unreachable(let error): "\(error)"
    }
  }

  /// The result that an error stands for.
  init(_ error: any Error) {
    switch error {
    case let result as ProbeResult: self = result
    case StreamError.starved: self = .inconclusive("\(error)")
    case let error as FileError where error.isShortage: self = .inconclusive("\(error)")
    case let error as StreamError: self = .unreachable(error)
    case let error as HTTPClientError: self = .notUnderstood("\(error)")
    default: self = .failed("\(error)")
    }
  }

  /// Connects to `endpoint`, runs the conversation, closes.
  /// - Parameter deadline: for all of it.
  @LoopActor static func of(
    _ endpoint: Endpoint, deadline: Duration, conversation: @LoopActor (ByteStream) async throws -> ProbeResult
  ) async -> ProbeResult {
    do {
      let stream = try await ByteStream.connect(to: endpoint, deadline: deadline)
      defer { stream.close() }
      return try await conversation(stream)
    } catch {
      return ProbeResult(error)
    }
  }
}

/// Lets a conversation end from within its functions.
extension ProbeResult: Error {}

public import Reactor

/// What a server said to a probe that speaks its protocol. A probe always has a result, within its deadline.
public enum ProbeResult: Equatable, Sendable, CustomStringConvertible {
  /// It answered as a healthy server does.
  case healthy
  /// It speaks the protocol, and said no, in these words.
  case refused(String)
  /// What it said is not the protocol, or a part of it that this probe does not know; a sentence.
  case notUnderstood(String)
  /// The connection did not come about, broke, or the deadline passed.
  case unreachable(StreamError)
  /// The task that asked was cancelled.
  case cancelled

  /// Whether the service may be offered to clients.
  public var isHealthy: Bool { self == .healthy }

  /// For the log.
  public var description: String {
    switch self {
    case .healthy: "healthy"
    case .refused(let words): words
    case .notUnderstood(let sentence): sentence
    case .unreachable(let error): "\(error)"
    case .cancelled: "cancelled"
    }
  }

  /// Connects to `endpoint`, has the conversation, closes.
  /// - Parameter deadline: for all of it.
  @LoopActor static func of(
    _ endpoint: Endpoint, deadline: Duration, _ conversation: @LoopActor (ByteStream) async throws -> ProbeResult
  ) async -> ProbeResult {
    do {
      let stream = try await ByteStream.connect(to: endpoint, deadline: deadline)
      defer { stream.close() }
      return try await conversation(stream)
    } catch let error as StreamError {
      return .unreachable(error)
    } catch let result as ProbeResult {
      return result
    } catch {
      return .cancelled
    }
  }
}

/// So that a conversation can end from within its functions.
extension ProbeResult: Error {}

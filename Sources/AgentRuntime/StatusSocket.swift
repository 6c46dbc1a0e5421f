internal import Glibc
public import Reactor
public import SmartStack

/// A Unix socket on which a running agent tells what it does, for its own `status` command: HTTP, JSON answers.
///
/// Only the socket file's owner and group may connect; nothing can be changed through it.
@LoopActor public final class StatusSocket {
  private static let deadline: Duration = .seconds(5)
  private static let answerLimit = 256 << 20

  private let listener: HTTPListener

  /// Listens; a socket file that nobody listens on any more is replaced.
  /// - Parameters:
  ///   - path: the socket file, made with mode 0660.
  ///   - answer: what there is to tell, made anew for each question.
  /// - Throws: `ListenError`.
  public init(path: String, answer: @escaping @LoopActor () -> JSONValue) throws {
    listener = HTTPListener { exchange in
      let text = answer().text() + "\n"
      exchange.respond(status: 200, headers: [("Content-Type", "application/json")], text: text)
    }
    try listener.listen(on: .unix(path: path))
    chmod(path, 0o660)
  }

  /// Stops and removes the socket file.
  public func close() { listener.close() }

  /// Asks the agent that listens at `path`.
  /// - Throws: ``StatusError``.
  public static func ask(path: String) async throws(StatusError) -> JSONValue {
    let response: HTTPResponse
    do {
      response = try await HTTPClient.send(
        HTTPRequest(endpoint: .unix(path: path), target: "/status"), deadline: deadline,
        limits: HTTPClientLimits(maxBodyBytes: answerLimit))
    } catch {
      throw StatusError(path: path, reason: "\(error)")
    }
    guard response.status == 200, let value = JSONValue(response.body) else {
      throw StatusError(path: path, reason: "the answer, HTTP \(response.status), is no JSON")
    }
    return value
  }
}

/// Why an agent could not be asked.
public struct StatusError: Error, Sendable, CustomStringConvertible {
  /// The socket file.
  public let path: String
  /// What went wrong.
  public let reason: String

  /// What it means and what to look at.
  public var description: String {
    "no agent answers at \(path) (\(reason)); does it run, with this state directory, and may you read it?"
  }
}

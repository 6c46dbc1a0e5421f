public import Reactor

/// Why HAProxy did not do what was asked of it, at a socket or at its statistics page.
public enum HAProxyRuntimeError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Nobody listens there, or it may not be opened.
  case unreachable(socket: String, reason: String)
  /// Nobody listens at the master's command line.
  case noMaster(socket: String, reason: String)
  /// The deadline passed before this command was answered.
  case timedOut(command: String, after: Duration)
  /// HAProxy hung up before this command was answered, or answered it in part.
  case closed(command: String)
  /// HAProxy answered with a complaint.
  case refused(command: String, reply: String)
  /// The command was never sent: this argument would not have arrived as one argument.
  case unsafeArgument(String, reason: String)
  /// The reply is not in the form that HAProxy documents.
  case malformed(command: String, reason: String)
  /// The statistics page is not there, or is something else.
  case noStatsPage(Endpoint, reason: String)

  /// What happened and what to look at, in one sentence.
  public var description: String {
    switch self {
    case .unreachable(let socket, let reason):
      "cannot reach HAProxy at \(socket): \(reason); is `stats socket \(socket) level admin` in its configuration?"
    case .noMaster(let socket, let reason):
      "cannot reach HAProxy's master at \(socket): \(reason); does HAProxy run, as `haproxy -W -S \(socket)`?"
    case .timedOut(let command, let limit): "HAProxy did not answer `\(command)` within \(limit)"
    case .closed(let command): "HAProxy closed the connection before it had answered `\(command)`"
    case .refused(let command, let reply): "HAProxy refused `\(command)`: \(reply)"
    case .unsafeArgument(let argument, let reason): "not sent to HAProxy: '\(argument)' \(reason)"
    case .malformed(let command, let reason): "HAProxy's answer to `\(command)` cannot be read: \(reason)"
    case .noStatsPage(let endpoint, let reason):
      "no stats page of HAProxy at http://\(endpoint)/ (\(reason)); does it run, with `stats enable` on that port?"
    }
  }
}

internal import Reactor
internal import SmartStack

/// Keeps a registry in step with a service's verdict.
///
/// A reporter is told what should be true and makes it so, over lost connections and expired sessions,
/// until it is told otherwise; nobody has to tell it twice.
@LoopActor protocol Reporter: AnyObject {
  /// Where the reporter stands.
  var state: ReporterState { get }
  /// Called after every change of ``state``.
  var onChange: (@LoopActor (ReporterState) -> Void)? { get set }

  /// Whether the registry can be talked to at this moment.
  var isReachable: Bool { get }

  /// What the registry should say from now on. Returns at once; repeating a verdict does nothing.
  func report(_ verdict: Verdict)

  /// Takes the registration back and ends; returns when it is gone or cannot be there any more.
  func close() async
}

/// What the registry knows of a service.
enum ReporterState: Equatable, Sendable, CustomStringConvertible {
  /// Nothing was reported yet.
  case idle
  /// The registry has yet to say yes.
  case pending(Verdict)
  /// The registry says the same as the last report; with the registration's place if there is one.
  case settled(Verdict, place: String?)
  /// The registry refused; the reporter goes on trying.
  case failed(Verdict, reason: String)

  /// Whether the last report has arrived.
  var isSettled: Bool { if case .settled = self { true } else { false } }

  /// For the log.
  var description: String {
    switch self {
    case .idle: "nothing reported"
    case .pending(let verdict): "reporting \(verdict)"
    case .settled(let verdict, let place): place.map { "reported \(verdict) at \($0)" } ?? "reported \(verdict)"
    case .failed(let verdict, let reason): "cannot report \(verdict): \(reason)"
    }
  }
}

/// The action that a tool takes with the configuration it made.
public enum ConfigureMode: Sendable, Equatable {
  /// It is written, and the agent notified.
  case write
  /// Nothing is written; a sentence says what would be done.
  case dryRun
  /// Nothing is written; the lines that would change are shown.
  case diff(inColor: Bool)

  /// Whether nothing is written.
  public var isDry: Bool { self != .write }

  /// The exit status of a run that got to its end: 0 all is well, 3 something was skipped; of a dry one: 0 nothing
  /// would change, 1 something would.
  public func status(isChanged: Bool, isIncomplete: Bool) -> Int32 {
    if isDry { return isChanged ? 1 : 0 }
    return isIncomplete ? 3 : 0
  }

  /// The exit status of a failed run: 1 nothing was changed, or the agent was not notified; of a dry one: 2 unknown.
  public var failure: Int32 { isDry ? 2 : 1 }
}

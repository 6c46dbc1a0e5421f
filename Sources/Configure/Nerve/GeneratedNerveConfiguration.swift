internal import Reactor
internal import SmartStack

/// The nerve.conf.json that one run makes of everything it read, and what is wrong.
struct GeneratedNerveConfiguration: Equatable, Sendable {
  /// The name this host registers under.
  var instanceID: String
  /// The file: sorted keys, four blanks, no line break at the end.
  var bytes: [UInt8]
  /// Entries of the file.
  var registrationCount: Int
  /// What is not registered as its files say.
  var skipped: [SkippedService]
  /// Worth a line, no failure.
  var warnings: [String]
  /// Local services that were listed.
  var serviceCount: Int
  /// What nerve's reader accepted, for the next run.
  var accepted = AcceptedEntries()

  /// Lines for the operator.
  var lines: [String] { warnings + skipped.flatMap(\.lines) }
  /// Services that are not as their files say.
  var failureCount: Int { skipped.count(where: \.isFailure) }
}

/// Entries that nerve's own reader had a look at: it judges each by itself, so the same ones need no second look.
struct AcceptedEntries: Equatable, Sendable {
  /// Whose name stands at the top.
  var host: HostIdentity?
  var entries = JSONObject()

  /// Those of `entries` that were not looked at yet.
  func unknown(of entries: JSONObject, host: HostIdentity) -> JSONObject {
    guard host == self.host else { return entries }
    var unknown = JSONObject()
    for (key, value) in entries.members where self.entries[key] != value { unknown[key] = value }
    return unknown
  }
}

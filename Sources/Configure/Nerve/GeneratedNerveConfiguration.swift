internal import SmartStack

/// The nerve.conf.json that one run makes of everything it read, and what is wrong.
struct GeneratedNerveConfiguration: Sendable {
  /// The host that registers.
  var host: HostIdentity
  /// The registrations by key, all accepted by nerve's reader.
  var entries: JSONObject
  /// The file: sorted keys, four blanks, no line break at the end.
  var bytes: [UInt8]
  /// What is not registered as its files say.
  var skipped: [SkippedService]
  /// Worth a line, no failure.
  var warnings: [String]
  /// Local services that were listed.
  var serviceCount: Int

  /// Lines for the operator.
  var lines: [String] { warnings + skipped.flatMap(\.lines) }
  /// Services that are not as their files say.
  var failureCount: Int { skipped.count(where: \.isFailure) }
}

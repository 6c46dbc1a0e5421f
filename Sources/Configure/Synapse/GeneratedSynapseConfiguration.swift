internal import SmartStack
internal import YAMLConfig

/// The synapse.conf.json that one run makes of everything it read, and what is wrong.
struct GeneratedSynapseConfiguration: Sendable {
  let options: ToolOptions
  /// The bytes of the whole file.
  let bytes: [UInt8]
  /// The number of namespaces that were read without a mistake.
  let namespaceCount: Int
  let problems: [SkippedService]
  let warnings: [ConfigError]

  /// For a line: `2 namespaces`.
  var shownCount: String { namespaceCount.counted("namespace") }
  /// Services that are not as their files say.
  var failureCount: Int { problems.count(where: \.isFailure) }
}

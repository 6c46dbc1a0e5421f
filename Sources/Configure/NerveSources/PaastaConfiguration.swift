internal import SmartStack
internal import YAMLConfig

/// What PaaSTA's own configuration says of this host: the JSON files of `/etc/paasta`, merged in the order of names.
struct PaastaConfiguration: Equatable, Sendable {
  /// The cluster this host is in; nil where PaaSTA is not set up, and nothing is asked of Mesos then.
  var cluster: String?
  /// Whether tasks are registered: `register_marathon_services`.
  var registersTasks = true

  init(cluster: String?, registersTasks: Bool = true) {
    self.cluster = cluster
    self.registersTasks = registersTasks
  }

  /// Reads a directory; a missing one is no set-up.
  /// - Throws: for a file that cannot be read: the host's own data are at fault.
  init(directory: String, files: SourceFiles) throws(ConfigError) {
    for name in try files.names(in: directory) ?? [] where name.hasSuffix(".json") && !name.hasPrefix(".") {
      guard let root = try files.document("\(directory)/\(name)") else { continue }
      let section = try root.section()
      if let value = try section.optionalString("cluster") { cluster = value }
      if let value = try section.optionalBool("register_marathon_services") { registersTasks = value }
    }
  }

  /// The cluster whose tasks are to be registered; nil registers none.
  var clusterOfTasks: String? { registersTasks ? cluster : nil }
}

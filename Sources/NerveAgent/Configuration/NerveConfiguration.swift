internal import AgentKit
internal import Hacheck
internal import Reactor
internal import Registry
internal import SmartStack
public import YAMLConfig
internal import ZooKeeper

/// Everything `nerve.conf.json` says, checked. One bad service does not spoil the others: it is skipped
/// and named in ``skipped``.
public struct NerveConfiguration: Sendable {
  static let defaultCommandLimit = 16

  /// The name this host registers under.
  var instanceID: String
  /// The services that are in order, by name.
  var services: [ServiceConfiguration] = []
  /// `heartbeat_path`: touched while the agent makes progress.
  var heartbeatPath: String?
  /// `status_port`: where page, status and metrics are served besides the state directory's socket; nil: nowhere.
  var statusPort: Int?
  /// `status_address`: which address that port is at.
  var statusAddress = "127.0.0.1"
  /// `status_hosts`: names of this machine, besides its own, at which browsers are answered there.
  var statusHosts: [String] = []
  /// `statsd`: destination of the metrics that upstream pushes; nil pushes none.
  var statsD: (host: String, port: Int)?
  /// `hacheck`: nil when it is switched off.
  var hacheck: HacheckConfiguration?
  /// The key `state_dir`, as written.
  var stateDirectory: String?
  /// `max_exec_checks`: commands of exec checks that run at one time.
  var commandLimit = NerveConfiguration.defaultCommandLimit
  /// `zk_auth`: who nerve is to every ZooKeeper; its nodes are then its own, and everybody's to read.
  var credentials: ZooKeeperCredentials?
  /// `zk_tls`: the ensembles that are spoken to by TLS.
  var tls: [ZooKeeperTLS] = []
  /// `reload_on_change`: whether a change of the files is noticed without a SIGHUP.
  var reloadsOnChange = false
  /// `service_conf_dir`, if it is set.
  var serviceDirectories: [String] = []
  /// The services that were skipped, by their keys, and what is wrong with each.
  public var skipped: [(service: String, error: ConfigError)] = []
  /// Odd, but harmless: unknown keys, keys given twice.
  var warnings: [ConfigError] = []
  var files = ConfigurationFiles()
}

extension NerveConfiguration {
  /// What is wrong with the services that were skipped.
  public var problems: [ConfigError] { skipped.map(\.error) }
  /// The keys of the services that were skipped: a reload leaves what runs under them alone.
  public var badServices: Set<String> { Set(skipped.map(\.service)) }

  /// Reads the configuration file and the files beside it.
  /// - Parameters:
  ///   - path: the argument of `-c`.
  ///   - instanceID: `-i` or NERVE_INSTANCE_ID, which replaces the file's `instance_id`; nil keeps it.
  /// - Throws: ``ConfigError`` when the file as a whole is not usable: unreadable, no mapping, without
  ///   `instance_id`, with a top-level key of the wrong kind.
  static func load(path: String, instanceID: String? = nil) throws(ConfigError) -> NerveConfiguration {
    var files = ConfigurationFiles()
    return try load(files.document(at: path), files: &files, instanceID: instanceID)
  }

  /// Judges a document that was read already, with the files of its `service_conf_dir`.
  /// - Throws: ``ConfigError`` as reading the file does.
  public static func load(_ document: YAMLDocument) throws(ConfigError) -> NerveConfiguration {
    var files = ConfigurationFiles()
    return try load(document, files: &files, instanceID: nil)
  }

  private static func load(
    _ document: YAMLDocument, files: inout ConfigurationFiles, instanceID: String?
  ) throws(ConfigError) -> NerveConfiguration {
    let section = try ConfigSection(document.root)
    var configuration = NerveConfiguration(instanceID: try instance(section, given: instanceID))
    configuration.warnings = document.warnings
    configuration.heartbeatPath = try section.optionalString("heartbeat_path")
    configuration.stateDirectory = try section.optionalString("state_dir")
    if section.has("status_port") { configuration.statusPort = try section.int("status_port", in: 0...65_535) }
    configuration.statusAddress = try section.string("status_address", default: configuration.statusAddress)
    configuration.statusHosts = try section.strings("status_hosts")
    configuration.statsD = try statsD(section)
    configuration.credentials = try credentials(section, files: &files)
    configuration.tls = try section.zooKeeperTLS()
    configuration.hacheck = try HacheckConfiguration.read(
      section, files: &files, warnings: &configuration.warnings)
    configuration.commandLimit = try section.int(
      "max_exec_checks", in: 1...10_000, default: NerveConfiguration.defaultCommandLimit)
    // Reporters never give up, so the bound on their failures has nothing to do.
    section.acknowledge("max_repeated_report_failures")

    let written = try section.entries("services")
    configuration.reloadsOnChange = try section.optionalBool("reload_on_change") ?? false
    let found = try files.services(of: section)
    configuration.serviceDirectories = files.directories.keys.sorted()
    let overridden = Set(found.map(\.service))
    for entry in written where !overridden.contains(entry.name) {
      configuration.add(.success(entry.value), key: entry.name)
    }
    for file in found { configuration.add(file.document.map(\.root), key: file.service) }
    configuration.warnings += section.unknownKeys()
    configuration.services.sort { $0.name < $1.name }
    configuration.files = files
    return configuration
  }

  private static func instance(_ section: ConfigSection, given: String?) throws(ConfigError) -> String {
    let written = try section.optionalString("instance_id")
    guard let name = given.flatMap({ $0.isEmpty ? nil : $0 }) ?? written, !name.isEmpty else {
      if section.has("haproxy") { throw section.error(at: "haproxy", "this looks like synapse's file, not nerve's") }
      throw section.error(at: "instance_id", "the name this host registers under is missing; set it here or with -i")
    }
    guard !name.contains("/"), !name.unicodeScalars.contains(where: \.breaksLine) else {
      throw section.error(
        at: "instance_id", "\(YAMLScalar(text: name, kind: .text).summary) cannot be part of a znode's name")
    }
    if !ServerText.isName(name) {
      section.warn(
        at: "instance_id",
        "\(name.quoted) cannot be part of a server's name in HAProxy: synapse skips its registrations")
    }
    return name
  }

  /// `user:password`, or with `zk_auth_file` the path of a file that holds it, so that this file may be readable by all.
  private static func credentials(
    _ section: ConfigSection, files: inout ConfigurationFiles
  ) throws(ConfigError) -> ZooKeeperCredentials? {
    var secret = try section.optionalString("zk_auth")
    if let path = try section.optionalString("zk_auth_file") {
      if secret != nil { throw section.error(at: "zk_auth_file", "there is a zk_auth as well; give one of the two") }
      do throws(FileError) {
        let text = String(decoding: try files.bytes(of: path, limit: 4096), as: UTF8.self)
        secret = text.lines.first { !$0.isEmpty }.map(String.init) ?? ""
      } catch {
        throw section.error(at: "zk_auth_file", error.description)
      }
    }
    guard let secret else { return nil }
    let parts = secret.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts.allSatisfy({ !$0.isEmpty }) else {
      throw section.error(at: "zk_auth", "write user:password")
    }
    return ZooKeeperCredentials(secret: secret, protectsNodes: true)
  }

  private static func statsD(_ section: ConfigSection) throws(ConfigError) -> (host: String, port: Int)? {
    guard let statsD = try section.optionalSection("statsd") else { return nil }
    return (
      try statsD.string("host", default: "localhost"), try statsD.int("port", in: 1...65535, default: 8125)
    )
  }

  /// Adds one service, or records what is wrong with it.
  private mutating func add(_ node: Result<YAMLNode, ConfigError>, key: String) {
    var section: ConfigSection?
    do {
      let opened = try ConfigSection(try node.get())
      section = opened
      services += try ServiceReader(key: key, instanceID: instanceID, section: opened).read()
      warnings += opened.unknownKeys()
    } catch {
      // Often what is missing: a key that is written wrongly.
      if let section, let sample = ServiceReader.sample(like: section) {
        warnings += section.unknownKeys(beside: sample)
      }
      skipped.append((key, error.naming(service: key)))
    }
  }
}

extension ConfigError {
  /// Adds the service's name to the path of a problem: a file of `service_conf_dir` has none in it.
  fileprivate func naming(service: String) -> ConfigError {
    guard !path.contains(service) else { return self }
    return ConfigError(
      file: file, line: line, column: column, path: path.isEmpty ? service : "\(service): \(path)", problem: problem)
  }
}

internal import AgentKit
internal import Hacheck
internal import Reactor
internal import SmartStack
public import YAMLConfig
internal import ZooKeeper

/// Everything `nerve.conf.json` says, checked. One bad service does not spoil the others: it is left out
/// and named in ``problems``.
public struct NerveConfiguration: Sendable {
  static let defaultCommandLimit = 16

  /// The name this host registers under.
  var instanceID: String
  /// The services that are in order, by name.
  var services: [ServiceConfiguration] = []
  /// `heartbeat_path`: touched while the agent makes progress.
  var heartbeatPath: String?
  /// `statsd`: destination of the metrics that upstream pushes; nil pushes none.
  var statsD: StatsDTarget?
  /// `hacheck`: nil when it is switched off.
  var hacheck: HacheckConfiguration?
  /// The key `state_dir`, as written.
  var stateDirectory: String?
  /// `max_exec_checks`: commands of exec checks that run at one time.
  var commandLimit = NerveConfiguration.defaultCommandLimit
  /// `zk_auth`: who nerve is to every ZooKeeper; its nodes are then its own, and everybody's to read.
  var credentials: ZooKeeperCredentials?
  /// `reload_on_change`: whether a change of the files is noticed without a SIGHUP.
  var reloadsOnChange = false
  /// `service_conf_dir`, if it is set.
  var serviceDirectories: [String] = []
  /// What is wrong with services, files and sections that were left out.
  public var problems: [ConfigError] = []
  /// The keys of the services in ``problems``: a reload leaves what runs under them alone.
  public var badServices: Set<String> = []
  /// Odd, but harmless: unknown keys, keys given twice.
  var warnings: [ConfigError] = []
}

/// `statsd`: host and UDP port.
struct StatsDTarget: Hashable, Sendable {
  var host: String
  var port: Int
}

/// Reads the configuration file and the files beside it.
public struct NerveConfigurationLoader: Sendable {
  /// The argument of `-c`.
  var path: String
  /// `-i` or NERVE_INSTANCE_ID: replaces the file's `instance_id`.
  var instanceID: String?

  /// A reader of the file at `path`.
  /// - Parameter instanceID: replaces the file's `instance_id`; nil keeps it.
  public init(path: String, instanceID: String? = nil) {
    self.path = path
    self.instanceID = instanceID
  }

  /// Reads all files again.
  /// - Throws: ``ConfigError`` when the file as a whole is of no use: unreadable, no mapping, without
  ///   `instance_id`, with a top-level key of the wrong kind.
  func load() throws(ConfigError) -> NerveConfiguration { try load(ConfigurationFiles.read(path)) }

  /// Judges a document that was read already, with the files of its `service_conf_dir`.
  /// - Throws: ``ConfigError`` as ``load()`` does.
  public func load(_ document: YAMLDocument) throws(ConfigError) -> NerveConfiguration {
    let section = try ConfigSection(document.root)
    var configuration = NerveConfiguration(instanceID: try instance(section))
    configuration.warnings = document.warnings
    configuration.heartbeatPath = try section.optionalString("heartbeat_path")
    configuration.stateDirectory = try section.optionalString("state_dir")
    configuration.statsD = try NerveConfigurationLoader.statsD(section)
    configuration.credentials = try NerveConfigurationLoader.credentials(section)
    configuration.hacheck = try HacheckSection.read(section, warnings: &configuration.warnings)
    configuration.commandLimit = try section.int(
      "max_exec_checks", in: 1...10_000, default: NerveConfiguration.defaultCommandLimit)
    // Reporters never give up, so the bound on their failures has nothing to do.
    section.acknowledge("max_repeated_report_failures")

    var sources = try section.entries("services").map { ServiceSource(key: $0.name, node: .success($0.value)) }
    configuration.reloadsOnChange = try section.optionalBool("reload_on_change") ?? false
    configuration.serviceDirectories = try section.optionalString("service_conf_dir").map { [$0] } ?? []
    let found = try ConfigurationFiles.services(of: section)
    let overridden = Set(found.map(\.service))
    sources = sources.filter { !overridden.contains($0.key) }
    sources += found.map { ServiceSource(key: $0.service, node: $0.document.map(\.root)) }
    for source in sources { configuration.add(source) }
    configuration.warnings += section.unknownKeys()
    configuration.services.sort { $0.name < $1.name }
    return configuration
  }

  private func instance(_ section: ConfigSection) throws(ConfigError) -> String {
    let written = try section.optionalString("instance_id")
    guard let name = instanceID.flatMap({ $0.isEmpty ? nil : $0 }) ?? written, !name.isEmpty else {
      throw section.error(at: "instance_id", "the name this host registers under is missing; set it here or with -i")
    }
    guard !name.contains("/"), !name.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
      throw section.error(
        at: "instance_id", "\(YAMLScalar(text: name, kind: .text).summary) cannot be part of a znode's name")
    }
    return name
  }

  /// `user:password`, or with `zk_auth_file` the path of a file that holds it, so that this file may be readable by all.
  private static func credentials(_ section: ConfigSection) throws(ConfigError) -> ZooKeeperCredentials? {
    var secret = try section.optionalString("zk_auth")
    if let path = try section.optionalString("zk_auth_file") {
      if secret != nil { throw section.error(at: "zk_auth_file", "there is a zk_auth as well; give one of the two") }
      do throws(FileError) {
        let text = String(decoding: try Files.read(path, limit: 4096), as: UTF8.self)
        secret = text.split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
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

  private static func statsD(_ section: ConfigSection) throws(ConfigError) -> StatsDTarget? {
    guard let statsD = try section.optionalSection("statsd") else { return nil }
    return StatsDTarget(
      host: try statsD.string("host", default: "localhost"),
      port: try statsD.int("port", in: 1...65535, default: 8125))
  }
}

/// Where one service's settings come from.
private struct ServiceSource {
  var key: String
  var node: Result<YAMLNode, ConfigError>
}

extension NerveConfiguration {
  /// Adds one service, or records what is wrong with it.
  fileprivate mutating func add(_ source: ServiceSource) {
    do {
      let section = try ConfigSection(try source.node.get())
      let reader = ServiceReader(key: source.key, instanceID: instanceID, section: section)
      services += try reader.read()
      warnings += section.unknownKeys()
    } catch {
      badServices.insert(source.key)
      problems.append(error.naming(service: source.key))
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

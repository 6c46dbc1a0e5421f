public import Reactor
public import SmartStack

/// A host as configure_synapse sees it, in a directory of its own: its place, soa-configs, the tool's options.
public final class HostFiles: Sendable {
  private let directory = TemporaryDirectory()

  /// The Lua scripts of this source tree.
  public static let scripts = root + "/share/smartstack/lua_scripts"
  /// The source tree.
  public static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  /// The directory that holds everything.
  public var path: String { directory.path }
  /// The synapse.conf.json that is written.
  public var output: String { path + "/synapse.conf.json" }
  /// `synapse-tools.conf.json`
  public var toolOptions: String { path + "/synapse-tools.conf.json" }
  /// One directory per service.
  public var services: String { path + "/soa" }
  /// The file of the migration to Envoy; not there unless a test writes it.
  public var envoyMigration: String { path + "/envoy_migration.yaml" }
  /// One file per location type.
  public var locations: String { path + "/nail" }

  /// A host in habitat `west-1a`, with two ZooKeepers.
  /// - Parameters:
  ///   - services: `service/file` → text.
  ///   - options: members of the tool's options, beside the usual.
  public init(_ services: [String: String] = [:], options: [String: JSONValue] = [:]) throws {
    try Files.makeDirectory(self.services, mode: 0o755)
    try put("nail/services/location_types.json", #"["ecosystem", "superregion", "region", "habitat"]"#)
    for (type, location) in ["ecosystem": "prod", "superregion": "west", "region": "west-1", "habitat": "west-1a"] {
      try put("nail/\(type)", location + "\n")
    }
    try put("zookeeper.yaml", "[[10.0.0.1, 2181], [10.0.0.2, 2181]]\n")
    try putOptions(options)
    for (name, text) in services { try put("soa/" + name, text) }
  }

  /// Writes the tool's options; null takes the restart command away that hosts have.
  public func putOptions(_ options: [String: JSONValue] = [:]) throws {
    var object: JSONObject = [
      "config_file": .string(output), "zookeeper_topology_path": .string(path + "/zookeeper.yaml"),
      "synapse_restart_command": .array(["/bin/sh", "-c", .string("echo again >> \(path)/calls")]),
      "lua_dir": .string(HostFiles.scripts),
    ]
    for (key, value) in options { object[key] = value }
    if object["synapse_restart_command"] == .null { object["synapse_restart_command"] = nil }
    try put("synapse-tools.conf.json", JSONValue.object(object).text())
  }

  /// Writes a file below the directory.
  public func put(_ name: String, _ text: String) throws { try directory.write(text, to: name) }

  /// A file's text; empty when it is not there.
  public func read(_ name: String) -> String { directory.text(of: name) ?? "" }

  /// How often synapse was restarted.
  public var calls: Int { read("calls").split(separator: "\n").count }

  /// Text without this host's directory, so that sentences can be compared whole.
  public func plain(_ text: some CustomStringConvertible) -> String {
    text.description.split(separator: path + "/", omittingEmptySubsequences: false).joined()
  }

  /// configure_synapse as a program, and its environment.
  public var command: (words: [String], environment: [String: String]) {
    (
      [BuiltProgram.path("synapse"), "configure_synapse", "--location-dir", locations, "--reload", "none"],
      [
        "SYNAPSE_TOOLS_CONFIG_PATH": toolOptions, "SOA_DIR": services, "ENVOY_MIGRATION_CONFIG_PATH": envoyMigration,
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
      ]
    )
  }

  /// Runs configure_synapse.
  @LoopActor public func configure() async throws -> ChildResult {
    let (words, environment) = command
    return try await ChildProcess.run(
      words[0], arguments: Array(words.dropFirst()), environment: environment, deadline: .seconds(60))
  }
}

internal import Glibc
internal import Reactor
internal import SmartStack
internal import TestSupport
internal import YAMLConfig

@testable internal import SynapseAgent

/// A host as configure_synapse sees it, in a directory of its own: its place, soa-configs, the tool's options.
final class ConfigureWorld: Sendable {
  let directory = TemporaryDirectory()
  let inputs: ConfigureInputs

  /// The scripts of this source tree.
  static let scripts: String = {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return "/\(root)/share/smartstack/lua_scripts"
  }()

  var path: String { directory.path }
  var output: String { path + "/synapse.conf.json" }

  /// - Parameters:
  ///   - services: `service/file` → text.
  ///   - options: members of the tool's options, beside the usual.
  init(_ services: [String: String] = [:], options: [String: JSONValue] = [:]) throws {
    var inputs = ConfigureInputs()
    inputs.toolOptions = directory.path + "/synapse-tools.conf.json"
    inputs.services = directory.path + "/soa"
    inputs.envoyMigration = directory.path + "/envoy_migration.yaml"
    inputs.locations = directory.path + "/nail"
    self.inputs = inputs
    try Files.makeDirectory(inputs.services, mode: 0o755)
    try put("nail/services/location_types.json", #"["ecosystem", "superregion", "region", "habitat"]"#)
    for (type, location) in ["ecosystem": "prod", "superregion": "west", "region": "west-1", "habitat": "west-1a"] {
      try put("nail/\(type)", location + "\n")
    }
    try put("zookeeper.yaml", "[[10.0.0.1, 2181], [10.0.0.2, 2181]]\n")
    try putOptions(options)
    for (name, text) in services { try put("soa/" + name, text) }
  }

  func putOptions(_ options: [String: JSONValue] = [:]) throws {
    var object: JSONObject = [
      "config_file": .string(output), "zookeeper_topology_path": .string(path + "/zookeeper.yaml"),
      "synapse_restart_command": .array(["/bin/sh", "-c", .string("echo again >> \(path)/calls")]),
      "lua_dir": .string(ConfigureWorld.scripts),
    ]
    for (key, value) in options { object[key] = value }
    // null takes a command away that worlds have.
    if object["synapse_restart_command"] == .null { object["synapse_restart_command"] = nil }
    try put("synapse-tools.conf.json", JSONValue.object(object).text())
  }

  /// Writes a file below the directory.
  func put(_ name: String, _ text: String) throws {
    try Files.makeDirectory(Files.parent(of: "\(path)/\(name)"), mode: 0o755)
    try AtomicFile.write(Array(text.utf8), to: "\(path)/\(name)", mode: 0o644, sync: false)
  }

  func read(_ name: String) -> String {
    (try? Files.read("\(path)/\(name)", limit: 1 << 26)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// What is made of the host as it stands.
  func make() throws -> ConfigurationMaker.Result {
    var maker = ConfigurationMaker(inputs)
    return try maker.make()
  }

  /// The same as a tree.
  func tree() throws -> JSONValue { JSONValue(try make().text.utf8) ?? .null }

  /// How often synapse was told.
  var calls: Int { read("calls").split(separator: "\n").count }

  /// Text without this world's directory, so that sentences can be compared whole.
  func plain(_ text: some CustomStringConvertible) -> String {
    text.description.split(separator: path + "/", omittingEmptySubsequences: false).joined()
  }
}

/// Lines said and shown by a run.
@LoopActor final class Said {
  private(set) var lines: [String] = []
  private(set) var shown = ""

  func run(_ world: ConfigureWorld, _ options: ConfigureOptions = ConfigureOptions()) -> ConfigureRun {
    ConfigureRun(
      inputs: world.inputs, options: options, say: { self.lines.append(world.plain($0)) },
      show: { self.shown += $0 })
  }

  func contains(_ words: String) -> Bool { lines.contains { $0.contains(words) } }
}

import AgentKit
import ArgumentParser
import Reactor
import SmartStack
import TestSupport

@testable import Configure

/// A host of one test: soa-configs, locations, topology files and an old configuration below one directory.
@LoopActor final class NerveHost {
  let directory = TemporaryDirectory()
  var options: ConfigureNerveOptions

  /// A host in region `r1` of superregion `s`, whose ZooKeeper is 10.9.9.9:2181; `web.main` is static, on port 8000.
  init(_ files: [String: String] = [:]) throws {
    let base = [
      "soa/location_types.json": #"["superregion", "region", "habitat"]"#,
      "soa/location_mapping.json":
        #"{"s_superregion": {"r1_region": {"h1_habitat": {}}, "r2_region": {}}, "t_superregion": {"r3_region": {}}}"#,
      "etc/superregion": "s", "etc/region": "r1\n", "etc/habitat": "h1",
      "zookeeper/infrastructure/s.yaml": "[[10.9.9.9, 2181]]", "zookeeper/infrastructure/t.yaml": "[[10.8.8.8, 2181]]",
      "soa/web/smartstack.yaml": "main: {proxy_port: 20000}\n", "soa/web/port": "8000",
      "static/web": #"{"namespaces": ["main"]}"#, "labels/.keep": "", "paasta/cluster.json": #"{"cluster": "west"}"#,
    ]
    for (name, text) in base.merging(files, uniquingKeysWith: { $1 }) { try directory.write(text, to: name) }
    let root = directory.path
    options = try ConfigureNerveOptions(inputs: .parse([]), outputs: .parse([]))
    options.outputs.nerveConfigPath = root + "/nerve.conf.json"
    options.outputs.heartbeatPath = root + "/heartbeat"
    options.inputs.zkTopologyDir = root + "/zookeeper"
    options.inputs.labelsDir = root + "/labels"
    options.inputs.soaDir = root + "/soa"
    options.inputs.locationDir = root + "/etc"
    options.inputs.paastaDir = root + "/paasta"
    options.outputs.nerveStateDir = root + "/run"
    options.inputs.sources = [.directory(root + "/static")]
    options.inputs.hostAddress = "10.0.0.1"
    options.outputs.reload = .none
    options.inputs.envoyAdminPort = 1
  }

  func run(_ mode: ConfigureMode = .write) async -> NerveConfigurator.Outcome {
    await NerveConfigurator(options: options).run(mode)
  }

  var configuration: String? { directory.text(of: "nerve.conf.json") }

  /// The registrations of the file, by key.
  var registrations: [String: JSONValue] {
    configuration.flatMap { JSONValue($0.utf8) }?["services"]?.object?.values ?? [:]
  }

  /// Keys without the tail that all have.
  var names: [String] { registrations.keys.map { $0.replacing(".v2.new", with: "") }.sorted() }
}

import HAProxyConfigGen
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure
@testable import SynapseAgent

/// What configure_synapse writes is what synapse can run and what HAProxy accepts, for every recorded host.
@Suite("configure_synapse: recorded hosts") struct ConfigureSynapseGoldenTests {
  private static let cases: [String: JSONValue] = {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    let bytes = (try? Files.read("/\(root)/Golden/configure_synapse.json", limit: 1 << 24)) ?? []
    var cases: [String: JSONValue] = [:]
    for (name, value) in JSONValue(bytes)?.object?.members ?? [] { cases[name] = value }
    return cases
  }()

  /// Cases whose host cannot be configured at all.
  private static let refused: Set = [
    "conf_map_debug_without_port", "conf_reload_cmd_fmt_bad_key", "zk_bad_port", "zk_missing",
  ]

  /// The case's files in a world; paths that no host of ours has are led into it.
  private func world(_ one: JSONValue) throws -> HostFiles {
    var options: [String: JSONValue] = [:]
    for (key, value) in one["options"]?.object?.members ?? [] where key != "lua_dir" && key != "errorfiles" {
      options[key] = value
    }
    let world = try HostFiles(options: options)
    if let files = one["options"]?["errorfiles"]?.object {
      var moved = JSONObject()
      for (status, _) in files.members {
        try world.put("\(status).http", "HTTP/1.0 \(status) No\r\n\r\n")
        moved[status] = .string("\(world.path)/\(status).http")
      }
      options["errorfiles"] = .object(moved)
      try world.putOptions(options)
    }
    for (name, text) in ConfigureSynapseGoldenTests.cases[""]?["env"]?.object?.members ?? [] {
      // null: the case's host does not have the file.
      if let words = (one["env"]?[name] ?? text).string { try world.put(place(name), words) }
    }
    for (name, text) in one["env"]?.object?.members ?? [] where text.string != nil {
      try world.put(place(name), text.string ?? "")
    }
    for (name, text) in one["soa"]?.object?.members ?? [] { try world.put("soa/" + name, text.string ?? "") }
    return world
  }

  private func place(_ name: String) -> String {
    if name.hasPrefix("location_") { return "nail/services/" + name }
    if name.hasPrefix("zookeeper_discovery") { return "zookeeper.yaml" }
    return name == "envoy_migration.yaml" ? name : "nail/" + name
  }

  @Test @LoopActor func everyFileIsAcceptedByHAProxy() async throws {
    #expect(ConfigureSynapseGoldenTests.cases.count > 100)
    for (name, one) in ConfigureSynapseGoldenTests.cases
    where !name.isEmpty && !ConfigureSynapseGoldenTests.refused.contains(name) {
      let world = try world(one)
      guard var tree = JSONValue(try world.make().text.utf8)?.object else {
        Issue.record("\(name): no JSON")
        continue
      }
      // nginx is another generator's.
      tree["nginx"] = nil
      var services = tree["services"]?.object ?? JSONObject()
      for name in services.keys where name.hasSuffix(".nginx_listener") { services[name] = nil }
      tree["services"] = .object(services)
      try world.put("synapse.conf.json", JSONValue.object(tree).text())
      let configuration = try ConfigurationLoader(environment: [:]).load(world.output)
      // Without a ZooKeeper there is nothing to be found for a service.
      if name != "zk_empty_list" { #expect(configuration.skipped.isEmpty, "\(name)") }
      let model = configuration.model()
      #expect(model.problems.isEmpty, "\(name): \(model.problems)")
      try world.put("haproxy.cfg", model.render().text)
      let check = try await ChildProcess.run(
        HAProxyServer.executable, arguments: ["-c", "-f", "\(world.path)/haproxy.cfg"], deadline: .seconds(60))
      let words = String(decoding: check.errorOutput + check.output, as: UTF8.self)
      #expect(check.status == .exited(0) || words.contains("no listener"), "\(name): \(words.prefix(2000))")
      #expect(!words.contains("deprecated"), "\(name): \(words)")
    }
  }
}

extension SynapseConfiguration {
  /// HAProxy's file with one server in every service.
  func model() -> ProxyModel {
    var model = ProxyModel(
      settings: haproxy?.generator ?? GeneratorSettings(), services: services.map(\.haproxy), memory: ServerMemory())
    for service in services {
      let backend = Backend(name: "task", host: "127.0.0.1", port: 9999)
      model.apply(ServiceSnapshot(service: service.name, backends: [backend]), now: 0)
    }
    return model
  }
}

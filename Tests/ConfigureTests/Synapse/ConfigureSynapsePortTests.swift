import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure

/// Namespaces that want the port of another listener.
@Suite("configure_synapse and ports") struct ConfigureSynapsePortTests {
  private func ports(_ world: HostFiles) -> [String: String] {
    let services = JSONValue(world.read("synapse.conf.json").utf8)?["services"]?.object ?? JSONObject()
    return Dictionary(
      uniqueKeysWithValues: services.keys.map { ($0, services[$0]?["haproxy"]?["port"]?.string ?? "") })
  }

  @Test("the first by name has the port; who has it in the current file keeps it, and so does what it had before")
  @LoopActor func twoServices() async throws {
    let world = try HostFiles([
      "b/smartstack.yaml": "main: {proxy_port: 20001}\n", "c/smartstack.yaml": "main: {proxy_port: 20001}\n",
    ])
    let said = Said()
    #expect(await said.configurator(world).run().status == 3)
    #expect(ports(world) == ["b.main": "20001"])
    #expect(
      said.contains("c.main is skipped: soa/c/smartstack.yaml:1:7: main: proxy_port: 0.0.0.0:20001 is taken by "),
      "\(said.lines)")
    // a comes with b's port: b has it.
    try world.put("soa/c/smartstack.yaml", "main: {proxy_port: 20003}\n")
    try world.put("soa/a/smartstack.yaml", "main: {proxy_port: 20001}\n")
    #expect(await said.configurator(world).run().status == 3)
    #expect(ports(world) == ["b.main": "20001", "c.main": "20003"])
    // c moves to b's port: it stays where it was.
    try Files.remove(world.path + "/soa/a/smartstack.yaml")
    try world.put("soa/c/smartstack.yaml", "main: {proxy_port: 20001}\n")
    #expect(await said.configurator(world).run().status == 3)
    #expect(ports(world) == ["b.main": "20001", "c.main": "20003"])
    #expect(said.contains("c.main stays as it was: soa/c/smartstack.yaml"))
    try world.put("soa/c/smartstack.yaml", "main: {proxy_port: 20004}\n")
    #expect(await said.configurator(world).run().status == 0)
    #expect(ports(world) == ["b.main": "20001", "c.main": "20004"])
  }

  @Test("nobody gets the port of the statistics page or of hacheck", arguments: [3212, 6666])
  func ownPorts(_ port: Int) throws {
    let world = try HostFiles([
      "a/smartstack.yaml": "main: {proxy_port: \(port)}\n", "b/smartstack.yaml": "main: {proxy_port: 20001}\n",
    ])
    let made = try world.make()
    #expect(made.problems.map(\.name) == ["a.main"] && made.failureCount == 1)
    #expect(made.text.contains("\"b.main\"") && !made.text.contains("\"a.main\""))
  }
}

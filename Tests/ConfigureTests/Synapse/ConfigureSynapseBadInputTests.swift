import AgentKit
import Reactor
import TestSupport
import Testing

@testable import Configure

/// Whatever an input becomes: the configuration in force stays, the exit status is not 0, a line names the input.
@Suite("configure_synapse: bad input") struct ConfigureSynapseBadInputTests {
  static let serviceFiles = ["soa/web/smartstack.yaml", "soa/web/service.yaml"]
  static let hostFiles = [
    "synapse-tools.conf.json", "zookeeper.yaml", "nail/region", "nail/services/location_types.json",
    "envoy_migration.yaml",
  ]

  static let cases: [(file: String, spoil: Spoil)] = (hostFiles + serviceFiles).flatMap { file in
    Spoil.allCases.filter { !isFine(file, $0) }.map { (file, $0) }
  }

  /// Whether the spoiled file is a mistake of services: without its file a host is in no location of a type.
  static func costsServices(_ file: String, _ spoil: Spoil) -> Bool {
    serviceFiles.contains(file) || file == "nail/region" && spoil == .gone
  }

  private static func isFine(_ file: String, _ spoil: Spoil) -> Bool {
    switch spoil {
    case .gone: serviceFiles.contains(file) || file == "envoy_migration.yaml"
    // One line of text is a place's name, whatever it is.
    case .halfWritten: file == "nail/region"
    case .aliasBomb, .unreadable, .loop: false
    }
  }

  @LoopActor static func host() throws -> HostFiles {
    let host = try HostFiles([
      "web/smartstack.yaml": "main: {proxy_port: 20001}\n", "web/service.yaml": "deploy_group: x\n",
    ])
    try host.put("envoy_migration.yaml", "migration_enabled: false\n")
    return host
  }

  @Test("a run", arguments: cases)
  @LoopActor func aRun(_ file: String, _ spoil: Spoil) async throws {
    let host = try ConfigureSynapseBadInputTests.host()
    let said = Said()
    #expect(await said.configurator(host).run().status == 0)
    let before = host.read("synapse.conf.json")
    try spoil.spoil("\(host.path)/\(file)")
    #expect(
      await said.configurator(host).run().status == (ConfigureSynapseBadInputTests.costsServices(file, spoil) ? 3 : 1))
    #expect(said.contains(file), "\(said.lines)")
    #expect(host.read("synapse.conf.json") == before && host.calls == 1)
    var options = ConfigureSynapseOptions()
    options.mode = .dryRun
    let status = await said.configurator(host, options).run().status
    #expect(status == (ConfigureSynapseBadInputTests.costsServices(file, spoil) ? 0 : 2))
  }

  @Test("--watch", arguments: cases)
  @LoopActor func watch(_ file: String, _ spoil: Spoil) async throws {
    let host = try ConfigureSynapseBadInputTests.host()
    let (path, said) = ("\(host.path)/\(file)", Said())
    let configurator = said.configurator(host, memory: ConfigureMemory())
    let loop = configurator.resident()
    let running = Task { @LoopActor in await loop.run() }
    defer { loop.stop() }
    try await eventually("the first run") { configurator.status == 0 }
    let before = host.read("synapse.conf.json")
    let bytes = try Files.read(path, limit: 1 << 16)
    try spoil.spoil(path)
    let wanted: Int32 = ConfigureSynapseBadInputTests.costsServices(file, spoil) ? 3 : 1
    try await eventually("a line that names it: \(said.lines)") { configurator.status == wanted && said.contains(file) }
    #expect(host.read("synapse.conf.json") == before)
    try Spoil.restore(path, bytes)
    try await eventually("it is good again: \(said.lines)") { configurator.status == 0 }
    #expect(host.read("synapse.conf.json") == before && host.calls == 1)
    try host.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
    try await eventually("changes count again") { host.read("synapse.conf.json").contains("\"20002\"") }
    loop.stop()
    await running.value
  }
}

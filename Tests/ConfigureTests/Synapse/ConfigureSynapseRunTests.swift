import AgentKit
import Glibc
import Reactor
import SmartStack
import SynapseAgent
import TestSupport
import Testing

@testable import Configure

@Suite("configure_synapse: runs") struct ConfigureSynapseRunTests {
  private static let web = ["web/smartstack.yaml": "main: {proxy_port: 20001}\n"]

  @Test @LoopActor func aChangeIsWrittenOnceAndToldOnce() async throws {
    let world = try HostFiles(ConfigureSynapseRunTests.web)
    let said = Said()
    #expect(await said.configurator(world).run().status == 0)
    #expect(said.lines == ["synapse.conf.json is new, with 1 namespace"])
    #expect(world.calls == 1)
    // A second run changes nothing but the file's age.
    var old = [timespec(tv_sec: 1000, tv_nsec: 0), timespec(tv_sec: 1000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, world.output, &old, 0) == 0)
    let inode = status(world.output).st_ino
    #expect(await said.configurator(world).run().isChanged == false)
    #expect(world.calls == 1)
    #expect(status(world.output).st_ino == inode)
    #expect(Files.modificationTime(world.output) ?? 0 > 2000)
    #expect(status(world.output).st_mode & 0o777 == 0o644)
    try world.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
    #expect(await said.configurator(world).run().isChanged)
    #expect(world.calls == 2)
    #expect(Files.exists(world.output + ".changed") == false)
  }

  @Test @LoopActor func aRestartThatFailsIsTriedAgain() async throws {
    let world = try HostFiles(
      ConfigureSynapseRunTests.web,
      options: ["synapse_restart_command": ["/bin/sh", "-c", "echo no such service >&2; exit 4"]])
    let said = Said()
    #expect(await said.configurator(world).run().status == 1)
    #expect(said.contains("failed (exit status 4): no such service; the next run tries again"))
    try world.putOptions()
    #expect(await said.configurator(world).run().status == 0)
    #expect(world.calls == 1)
    #expect(await said.configurator(world).run().status == 0)
    #expect(world.calls == 1)
  }

  @Test @LoopActor func aRunningSynapseGetsSIGHUP() async throws {
    let world = try HostFiles(ConfigureSynapseRunTests.web, options: ["synapse_restart_command": .null])
    // A process of that name which ends with SIGHUP.
    let sleeper = try Files.read("/bin/sleep", limit: 1 << 24)
    try Files.write(sleeper, to: world.path + "/synapse", mode: 0o755, sync: false)
    let child = try ChildProcess.start(world.path + "/synapse", arguments: ["600"])
    try world.put("state/\(SynapseProgram.lockName(forHAProxyFile: "/var/run/synapse/haproxy.cfg"))", "\(child.pid)\n")
    var options = ConfigureSynapseOptions()
    options.stateDirectory = world.path + "/state"
    let said = Said()
    #expect(await said.configurator(world, options).run().status == 0)
    #expect(said.lines.last == "SIGHUP to synapse, pid \(child.pid)")
    #expect(try await child.wait() == .signalled(SIGHUP))
    options.mode = .dryRun
    try world.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
    #expect(await said.configurator(world, options).run().status == 1)
    #expect(
      world.plain(said.shown)
        == "services.web.main would change\nsynapse.conf.json would change, 1 namespace; `service synapse stop`, then "
        + "`service synapse start`\n")
  }

  @Test @LoopActor func aDryRunWritesNothing() async throws {
    let world = try HostFiles(ConfigureSynapseRunTests.web)
    let said = Said()
    #expect(await said.configurator(world).run().status == 0)
    let before = world.read("synapse.conf.json")
    try world.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
    var options = ConfigureSynapseOptions()
    options.mode = .diff(inColor: false)
    #expect(await said.configurator(world, options).run().status == 1)
    let changed = said.shown.split(separator: "\n").filter { $0.hasPrefix("-  ") || $0.hasPrefix("+  ") }
    #expect(
      changed.map { $0.filter { $0 != " " } } == [#"-"port":"20001","#, #"+"port":"20002","#])
    #expect(world.read("synapse.conf.json") == before)
    #expect(world.calls == 1)
    try world.put("soa/web/smartstack.yaml", "main: {proxy_port: 20001}\n")
    #expect(await said.configurator(world, options).run().status == 0)
    try world.put("zookeeper.yaml", "[")
    #expect(await said.configurator(world, options).run().status == 2)
  }

  @Test @LoopActor func aServiceThatCannotBeReadKeepsWhatItHas() async throws {
    let plugin = "  plugins: {logging: {enabled: true, sample_rate: 0.5}}\n"
    let world = try HostFiles([
      "a/smartstack.yaml": "main:\n  proxy_port: 20001\n\(plugin)b:\n  proxy_port: 20002\n",
      "a.b/smartstack.yaml": "main: {proxy_port: 20003}\n", "c/smartstack.yaml": "main: {proxy_port: 20004}\n",
    ])
    let said = Said()
    #expect(await said.configurator(world).run().status == 0)
    let before = world.read("synapse.conf.json")
    try world.put("soa/a/smartstack.yaml", "main:\n  proxy_po")
    #expect(await said.configurator(world).run().status == 3)
    #expect(said.contains("a.main stays as it was: soa/a/smartstack.yaml:2:3: main: expected a mapping"))
    #expect(world.read("synapse.conf.json") == before)
    #expect(world.calls == 1)
    // What is gone is gone, also in the same run, and the other services go on changing.
    try Files.remove(world.path + "/soa/a.b/smartstack.yaml")
    try world.put("soa/c/smartstack.yaml", "main: {proxy_port: 20005}\n")
    #expect(await said.configurator(world).run().status == 3)
    let services = JSONValue(world.read("synapse.conf.json").utf8)?["services"]?.object
    #expect(services?.keys.sorted() == ["a.b", "a.main", "c.main"])
    #expect(services?["c.main"]?["haproxy"]?["port"] == "20005")
    #expect(services?["a.main"] == JSONValue(before.utf8)?["services"]?["a.main"])
  }

  struct BadInput: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var names: String
    var status: Int32 = 1
    var spoil: @Sendable (HostFiles) throws -> Void
  }

  private static let bomb =
    "a: &a [x, x, x, x, x, x, x, x, x]\n"
    + zip("bcdefgh", "abcdefg").map { name, before in
      "\(name): &\(name) [\(Array(repeating: "*\(before)", count: 9).joined(separator: ", "))]\n"
    }.joined()

  static let badInputs = [
    BadInput(testDescription: "half-written options", names: "synapse-tools.conf.json:") {
      try $0.put("synapse-tools.conf.json", #"{"config_file": "/x", "stat"#)
    },
    BadInput(testDescription: "alias bomb in the topology", names: "zookeeper.yaml:") {
      try $0.put("zookeeper.yaml", bomb)
    },
    BadInput(testDescription: "alias bomb in a service", names: "soa/web/smartstack.yaml:", status: 3) {
      try $0.put("soa/web/smartstack.yaml", bomb)
    },
    BadInput(testDescription: "a directory where a file should be", names: "zookeeper.yaml:") {
      try Files.remove($0.path + "/zookeeper.yaml")
      try Files.makeDirectory($0.path + "/zookeeper.yaml", mode: 0o755)
    },
    BadInput(testDescription: "a link that leads to itself", names: "nail/region:") {
      try Files.remove($0.path + "/nail/region")
      #expect(symlink("region", $0.path + "/nail/region") == 0)
    },
    BadInput(testDescription: "a service's link that leads to itself", names: "soa/web/smartstack.yaml:", status: 3) {
      try Files.remove($0.path + "/soa/web/smartstack.yaml")
      #expect(symlink("smartstack.yaml", $0.path + "/soa/web/smartstack.yaml") == 0)
    },
    BadInput(testDescription: "soa-configs are not there", names: "soa: there is no such directory") {
      #expect(rename($0.path + "/soa", $0.path + "/elsewhere") == 0)
    },
    BadInput(testDescription: "location types are no list", names: "location_types.json:1:1") {
      try $0.put("nail/services/location_types.json", "{}")
    },
    BadInput(testDescription: "bytes that are no text", names: "soa/web/smartstack.yaml:", status: 3) {
      let bytes: [UInt8] = [0x6D, 0x3A, 0xFF, 0xFE, 0x00, 0x0A]
      try Files.write(bytes, to: $0.path + "/soa/web/smartstack.yaml", mode: 0o644, sync: false)
    },
  ]

  @Test("bad input leaves the configuration in force", arguments: badInputs)
  @LoopActor func spoiled(_ input: BadInput) async throws {
    let world = try HostFiles(ConfigureSynapseRunTests.web)
    let said = Said()
    #expect(await said.configurator(world).run().status == 0)
    let before = world.read("synapse.conf.json")
    try input.spoil(world)
    #expect(await said.configurator(world).run().status == input.status)
    #expect(said.contains(input.names), "\(said.lines)")
    #expect(world.read("synapse.conf.json") == before)
    #expect(world.calls == 1)
  }

  @Test @LoopActor func figuresForMonitoring() async throws {
    let world = try HostFiles(ConfigureSynapseRunTests.web)
    var options = ConfigureSynapseOptions()
    options.metricsFile = world.path + "/configure_synapse.prom"
    try world.put("soa/bad/smartstack.yaml", "main: [")
    #expect(await Said().configurator(world, options).run().status == 3)
    let figures = world.read("configure_synapse.prom")
    for line in ["namespaces 1", "skipped 1", "success 0"] {
      #expect(figures.contains("\nconfigure_synapse_\(line)\n"))
    }
    try world.put("zookeeper.yaml", "[")
    #expect(await Said().configurator(world, options).run().status == 1)
    #expect(!world.read("configure_synapse.prom").contains("namespaces"))
  }

  private func status(_ path: String) -> stat {
    var result = stat()
    #expect(stat(path, &result) == 0)
    return result
  }
}

@Suite("configure_synapse: --watch") struct ConfigureSynapseWatchTests {
  @LoopActor private func withLoop(
    _ body: @LoopActor (HostFiles, SynapseConfigurator, ResidentRun) async throws -> Void
  ) async throws {
    let world = try HostFiles(["web/smartstack.yaml": "main: {proxy_port: 20001}\n"])
    let configurator = Said().configurator(world, memory: ConfigureMemory())
    let loop = configurator.resident()
    let running = Task { @LoopActor in await loop.run() }
    do {
      try await eventually("the first file") { world.read("synapse.conf.json").contains("\"20001\"") }
      try await body(world, configurator, loop)
    } catch {
      loop.stop()
      throw error
    }
    loop.stop()
    await running.value
  }

  @Test @LoopActor func changesOfEveryKindAreSeen() async throws {
    try await withLoop { world, _, _ in
      let text = { world.read("synapse.conf.json") }
      try world.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
      try await eventually("a file that is replaced") { text().contains("\"20002\"") }
      try world.put("soa/new/smartstack.yaml", "main: {proxy_port: 20003}\n")
      try await eventually("a service that is new") { text().contains("new.main") }
      try world.put("nail/region", "west-2\n")
      try await eventually("another region") { text().contains("region:west-2") }
      // As configuration is delivered: a new tree beside the old one, then the names are swapped.
      try world.put("next/web/smartstack.yaml", "main: {proxy_port: 20004}\n")
      #expect(rename(world.path + "/soa", world.path + "/old") == 0)
      #expect(rename(world.path + "/next", world.path + "/soa") == 0)
      try await eventually("a tree that is swapped") { text().contains("\"20004\"") && !text().contains("new.main") }
      try world.put("v5/web/smartstack.yaml", "main: {proxy_port: 20005}\n")
      try world.put("v6/web/smartstack.yaml", "main: {proxy_port: 20006}\n")
      #expect(rename(world.path + "/soa", world.path + "/older") == 0)
      #expect(symlink("v5", world.path + "/soa") == 0)
      try await eventually("a link") { text().contains("\"20005\"") }
      #expect(symlink("v6", world.path + "/soa.next") == 0)
      #expect(rename(world.path + "/soa.next", world.path + "/soa") == 0)
      try await eventually("a link that is turned") { text().contains("\"20006\"") }
      try world.put("v6/web/smartstack.yaml", "main: {proxy_port: 20007}\n")
      try await eventually("a file behind the link") { text().contains("\"20007\"") }
    }
  }

  @Test @LoopActor func aBurstIsOneRunAndATroubleIsNotTheEnd() async throws {
    try await withLoop { world, configurator, loop in
      let before = loop.runs
      for index in 0..<50 { try world.put("soa/s\(index)/smartstack.yaml", "main: {proxy_port: \(21_000 + index)}\n") }
      try await eventually("all are there") { world.read("synapse.conf.json").contains("s49.main") }
      #expect(loop.runs - before < 25)
      try world.put("zookeeper.yaml", "[[")
      try await eventually("it is bad") { configurator.status == 1 }
      #expect(world.read("synapse.conf.json").contains("s49.main"))
      try world.put("zookeeper.yaml", "[[10.9.9.9, 2181]]")
      try await eventually("it is good again") { world.read("synapse.conf.json").contains("10.9.9.9:2181") }
    }
  }
}

import AgentRuntime
import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// Whatever an input becomes: the configuration in force stays, the exit status is not 0, a line names the input.
@Suite("configure_synapse: bad input") struct ConfigureBadInputTests {
  static let serviceFiles = ["soa/web/smartstack.yaml", "soa/web/service.yaml"]
  static let hostFiles = [
    "synapse-tools.conf.json", "zookeeper.yaml", "nail/region", "nail/services/location_types.json",
    "envoy_migration.yaml",
  ]

  static let cases: [(file: String, spoil: Spoil)] = (hostFiles + serviceFiles).flatMap { file in
    Spoil.allCases.filter { !isFine(file, $0) }.map { (file, $0) }
  }

  private static func isFine(_ file: String, _ spoil: Spoil) -> Bool {
    switch spoil {
    case .gone: serviceFiles.contains(file) || file == "envoy_migration.yaml"
    // One line of text is a place's name, whatever it is.
    case .halfWritten: file == "nail/region"
    case .aliasBomb, .unreadable, .loop: false
    }
  }

  @LoopActor private static func host() throws -> ConfigureWorld {
    let host = try ConfigureWorld([
      "web/smartstack.yaml": "main: {proxy_port: 20001}\n", "web/service.yaml": "deploy_group: x\n",
    ])
    try host.put("envoy_migration.yaml", "migration_enabled: false\n")
    return host
  }

  @Test("a run", arguments: cases)
  @LoopActor func aRun(_ file: String, _ spoil: Spoil) async throws {
    let host = try ConfigureBadInputTests.host()
    let said = Said()
    #expect(await said.run(host).perform().status == 0)
    let before = host.read("synapse.conf.json")
    try spoil.spoil("\(host.path)/\(file)")
    #expect(await said.run(host).perform().status == (ConfigureBadInputTests.serviceFiles.contains(file) ? 3 : 1))
    #expect(said.contains(file), "\(said.lines)")
    #expect(host.read("synapse.conf.json") == before && host.calls == 1)
    var options = ConfigureOptions()
    options.mode = .dryRun
    let status = await said.run(host, options).perform().status
    #expect(status == (ConfigureBadInputTests.serviceFiles.contains(file) ? 0 : 2))
  }

  @Test("--watch", arguments: cases)
  @LoopActor func watch(_ file: String, _ spoil: Spoil) async throws {
    let host = try ConfigureBadInputTests.host()
    let (path, said) = ("\(host.path)/\(file)", Said())
    let loop = ConfigureLoop(said.run(host))
    let running = Task { @LoopActor in await loop.run() }
    defer { loop.stop() }
    try await eventually("the first run") { loop.status == 0 }
    let before = host.read("synapse.conf.json")
    let bytes = try Files.read(path, limit: 1 << 16)
    try spoil.spoil(path)
    let wanted: Int32 = ConfigureBadInputTests.serviceFiles.contains(file) ? 3 : 1
    try await eventually("a line that names it: \(said.lines)") { loop.status == wanted && said.contains(file) }
    #expect(host.read("synapse.conf.json") == before)
    try Spoil.restore(path, bytes)
    try await eventually("it is good again: \(said.lines)") { loop.status == 0 }
    #expect(host.read("synapse.conf.json") == before && host.calls == 1)
    try host.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
    try await eventually("changes count again") { host.read("synapse.conf.json").contains("\"20002\"") }
    loop.stop()
    await running.value
  }

  /// The program itself, under an account that may not read the file.
  @Test(arguments: [("zookeeper.yaml", Int32(1)), ("soa/web/smartstack.yaml", 3)])
  @LoopActor func aFileThatMayNotBeRead(_ file: String, _ status: Int32) async throws {
    let host = try ConfigureBadInputTests.host()
    #expect(await Said().run(host).perform().status == 0)
    let before = host.read("synapse.conf.json")
    #expect(chmod(host.path, 0o777) == 0 && chmod("\(host.path)/\(file)", 0) == 0)
    #expect(chmod("\(host.path)/synapse.conf.json", 0o666) == 0)
    let other = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : ["env"]
    let result = try await ChildProcess.run(
      "/usr/bin/\(other[0])", other.dropFirst() + ConfigureBadInputTests.command(host),
      environment: ConfigureBadInputTests.environment(host), deadline: .seconds(60))
    let said = String(decoding: result.errorOutput, as: UTF8.self)
    #expect(result.status == .exited(status), "\(said)")
    #expect(said.contains("\(host.path)/\(file): open: Permission denied"), "\(said)")
    #expect(host.read("synapse.conf.json") == before)
  }

  /// On a host without the package's address, and after the command that the sentence names.
  @Test @LoopActor func theAddressOfThePackage() async throws {
    let host = try ConfigureBadInputTests.host()
    try host.putOptions(["bind_addr": "169.254.255.254"])
    let script = """
      ip link set lo up
      "$@" 2> \(host.path)/first || exit 10
      eval "$(sed -n 's/.*interface: \\(ip address add [^(]*\\).*/\\1/p' \(host.path)/first)" || exit 11
      exec "$@"
      """
    let user = geteuid() == 0 ? [] : ["--map-root-user"]
    let result = try await ChildProcess.run(
      "/usr/bin/unshare", ["--net"] + user + ["/bin/sh", "-c", script, "sh"] + ConfigureBadInputTests.command(host),
      environment: ConfigureBadInputTests.environment(host), deadline: .seconds(60))
    #expect(result.status == .exited(0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
    let sentence =
      "warning: bind_addr 169.254.255.254 is on no interface of this host, so HAProxy cannot listen there; give it to "
      + "the loopback interface: ip address add 169.254.255.254/32 dev lo (with the package: systemctl start "
      + "smartstack-yocalhost)"
    #expect(host.read("first").contains(sentence))
    #expect(!String(decoding: result.errorOutput, as: UTF8.self).contains("bind_addr"))
  }

  private static func command(_ host: ConfigureWorld) -> [String] {
    [
      BuiltProgram.path("synapse"), "configure_synapse", "--location-dir", host.inputs.locations, "--reload", "none",
    ]
  }

  private static func environment(_ host: ConfigureWorld) -> [String: String] {
    [
      "SYNAPSE_TOOLS_CONFIG_PATH": host.inputs.toolOptions, "SOA_DIR": host.inputs.services,
      "ENVOY_MIGRATION_CONFIG_PATH": host.inputs.envoyMigration, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    ]
  }
}

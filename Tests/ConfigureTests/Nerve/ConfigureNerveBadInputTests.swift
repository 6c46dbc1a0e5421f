import AgentKit
import Reactor
import TestSupport
import Testing

@testable import Configure

/// Whatever an input becomes: the configuration in force stays, the exit status is not 0, a line names the input.
@Suite("configure_nerve: bad input") struct ConfigureNerveBadInputTests {
  /// Files of the host, and those of one service.
  static let hostFiles = [
    "soa/location_types.json", "soa/location_mapping.json", "etc/region", "zookeeper/infrastructure/s.yaml", "list",
    "paasta/cluster.json",
  ]
  static let serviceFiles = ["soa/web/smartstack.yaml", "static/web", "labels/web.main8000"]

  /// Of a file that may be missing, or that is taken as it is, some are no mistake.
  static let cases: [(file: String, spoil: Spoil)] = (hostFiles + serviceFiles).flatMap { file in
    Spoil.allCases.filter { !isFine(file, $0) }.map { (file, $0) }
  }

  /// Whether the spoiled file is a mistake of services: without its file a host is in no location of a type.
  static func costsServices(_ file: String, _ spoil: Spoil) -> Bool {
    serviceFiles.contains(file) || file == "etc/region" && spoil == .gone
  }

  private static func isFine(_ file: String, _ spoil: Spoil) -> Bool {
    switch spoil {
    case .gone: serviceFiles.contains(file) || file == "paasta/cluster.json"
    // A mapping is asked only for what stands in it, and a list of another kind than wanted is no set-up of PaaSTA.
    case .aliasBomb, .halfWritten: file == "etc/region"
    case .unreadable, .loop: false
    }
  }

  @LoopActor static func host() throws -> NerveHost {
    let host = try NerveHost(["labels/web.main8000": "{x: y}", "list": #"[["api.main", {"port": 81}]]"#])
    host.options.inputs.sources += [.file(host.directory.path + "/list"), .mesos(url: "http://127.0.0.1:1")]
    try host.directory.write(#"{"cluster": "west", "register_marathon_services": false}"#, to: "paasta/cluster.json")
    return host
  }

  @Test("a run", arguments: cases)
  @LoopActor func aRun(_ file: String, _ spoil: Spoil) async throws {
    let host = try ConfigureNerveBadInputTests.host()
    #expect(await host.run() == outcomeOfAFirstRun(host))
    let before = try #require(host.configuration)
    let path = "\(host.directory.path)/\(file)"
    try spoil.spoil(path)
    let outcome = await host.run()
    #expect(outcome.status == (ConfigureNerveBadInputTests.costsServices(file, spoil) ? 3 : 1), "\(outcome)")
    #expect(outcome.problems.contains { $0.contains(path) }, "\(outcome)")
    #expect(host.configuration == before)
    #expect(await host.run(.dryRun).status == (ConfigureNerveBadInputTests.costsServices(file, spoil) ? 0 : 2))
  }

  @LoopActor private func outcomeOfAFirstRun(_ host: NerveHost) -> NerveConfigurator.Outcome {
    NerveConfigurator.Outcome(
      output:
        "2 local services, 2 registrations; \(host.options.outputs.nerveConfigPath) changed; nerve is left alone\n")
  }

  @Test("--watch", arguments: cases)
  @LoopActor func watch(_ file: String, _ spoil: Spoil) async throws {
    let host = try ConfigureNerveBadInputTests.host()
    let path = "\(host.directory.path)/\(file)"
    host.options.outputs.metricsFile = host.directory.path + "/configure_nerve.prom"
    let success = { (value: Int) in
      host.directory.text(of: "configure_nerve.prom")?.contains("configure_nerve_success \(value)\n") == true
    }
    try await ConfigureNerveWatchTests.watching(host) { lines in
      try await eventually("the first run") { success(1) }
      let before = host.configuration
      let bytes = try Files.read(path, limit: 1 << 16)
      try spoil.spoil(path)
      try await eventually("a line that names it: \(lines())") {
        lines().contains { $0.contains(path) } && success(0)
      }
      #expect(host.configuration == before)
      try Spoil.restore(path, bytes)
      try await eventually("it is good again: \(lines())") { success(1) }
      #expect(host.configuration == before)
      try host.directory.write("8001", to: "soa/web/port")
      try await eventually("changes count again") { host.names.contains("web.main.s:10.0.0.1.8001") }
    }
  }
}

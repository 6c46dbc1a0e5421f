import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure

/// configure_nerve and configure_synapse on one host with one smartstack.yaml.
@Suite("one judgement of smartstack.yaml") struct OneJudgementTests {
  /// A host of both tools, on which `bad.main` always runs.
  @LoopActor private static func hosts(_ text: String) throws -> (synapse: HostFiles, nerve: NerveHost) {
    let files = try HostFiles(["bad/smartstack.yaml": text, "bad/port": "8000"])
    try files.put("soa/location_types.json", #"["ecosystem", "superregion", "region", "habitat"]"#)
    try files.put("soa/location_mapping.json", #"{"west_superregion": {"west-1_region": {"west-1a_habitat": {}}}}"#)
    let nerve = try NerveHost([
      "static/bad": #"{"namespaces": ["main"]}"#, "zookeeper/infrastructure/west.yaml": "[[10.9.9.9, 2181]]",
      "static/web": #"{"namespaces": []}"#,
    ])
    nerve.options.inputs.soaDir = files.services
    nerve.options.inputs.locationDir = files.locations
    return (files, nerve)
  }

  @Test("configure_nerve names each mistake at the same place", arguments: ConfigureSynapseTests.mistakes)
  @LoopActor func nerveNamesTheSamePlace(_ mistake: ConfigureSynapseTests.Mistake) async throws {
    let (files, nerve) = try OneJudgementTests.hosts("main:\n  \(mistake.yaml)\n")
    let problems = await nerve.run().problems.map { files.plain($0) }
    #expect(problems.count == 1 && problems[0].hasSuffix("soa/bad/smartstack.yaml:\(mistake.sentence)"), "\(problems)")
  }

  @Test @LoopActor func anUnknownAdvertisedTypeIsDroppedByBothAndNamed() async throws {
    let (files, nerve) = try OneJudgementTests.hosts("main:\n  proxy_port: 1\n  advertise: [region, planet]\n")
    let line =
      "bad.main is written without a value: soa/bad/smartstack.yaml:3:23: main.advertise[1]: 'planet' is not a "
      + "location type (ecosystem, superregion, region, habitat)"
    let made = try files.make()
    #expect(made.problems.flatMap(\.lines).map { files.plain($0) } == [line])
    #expect(made.problems.map(\.isFailure) == [true])
    #expect(JSONValue(made.text.utf8)?["services"]?.object?.keys == ["bad.main"])
    let outcome = await nerve.run()
    #expect(outcome.status == 3)
    #expect(outcome.problems.map { files.plain($0) } == [line])
    #expect(nerve.names == ["bad.main.west:10.0.0.1.8000"])
  }

  @Test @LoopActor func allMistakesAreNamedInOneRun() async throws {
    let (files, nerve) = try OneJudgementTests.hosts(
      "main:\n  proxy_port: 1\n  healthcheck_port: 99999999\n  healthcheck_timeout_s: soon\n  timeout_server_ms: 3s\n")
    let places = [
      "3:21: main.healthcheck_port: 99999999 is outside 0...65535",
      "4:26: main.healthcheck_timeout_s: expected a number of seconds, 0.001 to 86399, found the text \"soon\"",
      "5:22: main.timeout_server_ms: expected a number, found the text \"3s\"",
    ].map { "bad.main is skipped: soa/bad/smartstack.yaml:\($0)" }
    #expect(try files.make().problems.flatMap(\.lines).map { files.plain($0) } == places)
    #expect(await nerve.run().problems.map { files.plain($0) } == places)
  }

  @Test @LoopActor func aMistakeOfTheOtherProgramCostsNothing() async throws {
    let (files, nerve) = try OneJudgementTests.hosts("main: {proxy_port: 1, healthcheck_port: x}\n")
    let made = try files.make()
    #expect(made.problems.map(\.consequence) == [.noted])
    #expect(JSONValue(made.text.utf8)?["services"]?.object?.keys == ["bad.main"])
    try files.put("soa/bad/smartstack.yaml", "main: {proxy_port: 1, retries: x}\n")
    let outcome = await nerve.run()
    #expect(outcome.status == 0)
    #expect(nerve.names == ["bad.main.west:10.0.0.1.8000"])
    #expect(outcome.problems.count == 1 && outcome.problems[0].hasPrefix("warning: bad.main has a mistake"))
  }
}

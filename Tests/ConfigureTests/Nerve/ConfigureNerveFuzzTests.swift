import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure
@testable import NerveAgent

/// Whatever a source, a service's values or Envoy say: an answer or a named problem, and never a file that nerve
/// would refuse.
@Suite struct ConfigureNerveFuzzTests {
  static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 400

  static let list = #"""
    [["web.main", {"port": 8000, "advertise": ["region"], "extra_advertise": [["region:r1", "region:r3"]],
    "healthcheck_uri": "/s", "healthcheck_timeout_s": 2, "healthcheck_port": 8001, "mode": "http", "weight": 5,
    "extra_healthcheck_headers": {"a": "b"}, "healthcheck_body_expect": "ok", "service_ip": "10.0.0.2",
    "deploy_group": "d", "paasta_instance": "i"}], ["api.main", {"port": 1}]]
    """#
  static let pieces = [
    "null", "[", "]", "{", "}", ",", ":", "\"", "-1", "1e9", "1e400", "0.5", "true", "\\ud800", "\\u0000", " ",
    "galaxy",
    "\"\"", "99999999999999999999", "NaN", "..", "/",
  ]

  static func mutate(_ text: String, _ generator: inout SeededGenerator) -> [UInt8] {
    var bytes = Array(text.utf8)
    for _ in 0..<Int.random(in: 0...4, using: &generator) {
      let place = Int.random(in: 0..<bytes.count, using: &generator)
      let piece = pieces.randomElement(using: &generator) ?? ""
      bytes.replaceSubrange(
        place..<min(bytes.count, place + Int.random(in: 0...6, using: &generator)), with: piece.utf8)
    }
    return bytes
  }

  @Test func fuzzAnswersOfOthers() {
    var generator = SeededGenerator(seed: ConfigureNerveFuzzTests.seed)
    for _ in 0..<ConfigureNerveFuzzTests.rounds {
      for text in [ConfigureNerveReadingTests.agentState, ConfigureNerveReadingTests.operatorState] {
        let state = MesosState(ConfigureNerveFuzzTests.mutate(text, &generator))
        for executor in state?.executors ?? [] { _ = LocalServiceReader.job(executor.id) }
      }
      _ = EnvoyListeners(
        ConfigureNerveFuzzTests.mutate(
          #"{"listener_statuses": [{"name": "a.b.0.0.0.0.1.ingress_listener"}]}"#, &generator))
      let url = String(decoding: ConfigureNerveFuzzTests.mutate("http://[::1]:5051/api/v1", &generator), as: UTF8.self)
      if case .tcp(_, let port)? = SourceReader.address(of: url)?.endpoint { #expect((1...65_535).contains(port)) }
    }
  }

  @Test @LoopActor func fuzzLists() throws {
    let host = try NerveHost()
    var generator = SeededGenerator(seed: ConfigureNerveFuzzTests.seed)
    let maker = NerveConfigurationMaker(
      options: host.options, host: HostIdentity(name: "h", address: "10.0.0.1"), listeners: EnvoyListeners())
    let reader = LocalServiceReader(services: ServiceDirectory(path: "/nonexistent", files: SourceFiles()))
    for round in 0..<ConfigureNerveFuzzTests.rounds {
      let bytes = ConfigureNerveFuzzTests.mutate(ConfigureNerveFuzzTests.list, &generator)
      guard let local = try? reader.services(listed: bytes, by: .file("list")) else { continue }
      let candidate = try maker.make(local, files: SourceFiles())
      let path = host.options.outputs.nerveConfigPath
      try Files.write(candidate.bytes, to: path, mode: 0o644, sync: false)
      let (problems, _) = Agent.check(AgentOptions(configuration: path))
      #expect(problems.isEmpty, "seed \(ConfigureNerveFuzzTests.seed), round \(round): \(problems)")
    }
  }
}

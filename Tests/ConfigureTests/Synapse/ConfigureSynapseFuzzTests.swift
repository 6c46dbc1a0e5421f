import Glibc
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Configure

@Suite("configure_synapse: fuzz") struct ConfigureSynapseFuzzTests {
  private static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  private static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 1500

  private static let keys = [
    "proxy_port", "discover", "advertise", "mode", "timeout_connect_ms", "timeout_client_ms", "timeout_server_ms",
    "retries", "balance", "keepalive", "extra_headers", "extra_healthcheck_headers", "healthcheck_uri",
    "endpoint_timeouts", "chaos", "plugins", "proxied_through", "is_proxy", "habitat", "west-1a", "logging", "enabled",
    "sample_rate", "source_required", "/a", "fail", "delay",
  ]
  private static let words = [
    "1", "0", "-1", "20001", "65536", "1e400", "1.5", ".nan", "null", "true", "[]", "{}", "region", "habitat",
    "[habitat, region]", "[region, region]", "http", "tcp", "/a", "'/a b'", "\"a\\nb\"", "\"\\0\"", "'a\"b'", "'a#b'",
    "drop", "10ms", "roundrobin", "%[x]", "'${HOME}'", "\"\\u2028\"", "ü",
  ]

  private func value(_ depth: Int, _ random: inout SeededGenerator) -> String {
    guard depth > 0, Int.random(in: 0..<3, using: &random) == 0 else {
      return ConfigureSynapseFuzzTests.words.randomElement(using: &random) ?? "1"
    }
    let entries = (0..<Int.random(in: 0...3, using: &random)).map { _ in
      "\(ConfigureSynapseFuzzTests.keys.randomElement(using: &random) ?? "a"): \(value(depth - 1, &random))"
    }
    return "{\(entries.joined(separator: ", "))}"
  }

  /// Whatever a service's file says: it is configured or named, no line of HAProxy's file holds a line break, and the
  /// service beside it is there.
  @Test func fuzzNamespaces() throws {
    var random = SeededGenerator(seed: ConfigureSynapseFuzzTests.seed)
    for _ in 0..<max(1, ConfigureSynapseFuzzTests.rounds / 30) {
      var files = ["good/smartstack.yaml": "main: {proxy_port: 20000}\n"]
      for index in 0..<30 {
        let entries = (0..<Int.random(in: 0...8, using: &random)).map { _ in
          "\(ConfigureSynapseFuzzTests.keys.randomElement(using: &random) ?? "a"): \(value(3, &random))"
        }
        files["s\(index)/smartstack.yaml"] = "main: {proxy_port: 2000\(index), \(entries.joined(separator: ", "))}\n"
      }
      let world = try HostFiles(files)
      let made = try world.make()
      let tree = try #require(JSONValue(made.text.utf8), "seed \(ConfigureSynapseFuzzTests.seed)")
      #expect(tree["services"]?["good.main"] != nil, "seed \(ConfigureSynapseFuzzTests.seed)")
      for (name, service) in tree["services"]?.object?.members ?? [] {
        for section in ["frontend", "backend"] {
          for line in service["haproxy"]?[section]?.array?.compactMap(\.string) ?? [] {
            #expect(line.isOneLine, "seed \(ConfigureSynapseFuzzTests.seed), \(name): \(line)")
          }
        }
      }
    }
  }

  @Test func fuzzFormats() throws {
    var random = SeededGenerator(seed: ConfigureSynapseFuzzTests.seed)
    for _ in 0..<ConfigureSynapseFuzzTests.rounds {
      let text = (0..<Int.random(in: 0...12, using: &random)).map { _ in
        ["{", "}", "a", "{a}", "{{", "}}", "ü", " "].randomElement(using: &random) ?? ""
      }.joined()
      let node = try YAMLDocument.parse(Array(JSONText.quoted(text).utf8), file: "f")
      guard let format = try? FormatText(node, names: ["a"]) else { continue }
      // What is accepted has its braces in pairs, and loses one of each.
      let filled = format.filled(["a": ""])
      #expect(
        filled.filter { $0 == "{" }.count <= text.filter { $0 == "{" }.count / 2,
        "seed \(ConfigureSynapseFuzzTests.seed)")
    }
  }
}

import AgentKit
import Glibc
import Reactor
import TestSupport
import Testing

@testable import Configure

/// What configure_nerve remembers saves time and changes nothing.
@Suite struct ConfigureNerveMemoryTests {
  private static let texts = [
    "main: {proxy_port: 20000}", "main: {proxy_port: 20000, advertise: [region, habitat]}",
    "main: {proxy_port: 20000, healthcheck_timeout_s: 2.5, healthcheck_uri: /s}",
    "main: {proxy_port: 20000, extra_advertise: {'region:r1': ['region:r3']}}", "main: {advertise: [galaxy]}",
    "main: {mode: udp}", "main: {proxy_", "a: &a [*a]", "", "other: {proxy_port: 20001}",
  ]

  /// The last is refused by nerve's reader alone.
  private static let lists = [
    "[]", #"[["api.main", {"port": 81}]]"#, #"[["api.main", {"port": 81, "weight": 3}], ["db.main", {"port": 82}]]"#,
    #"[["web.main", {"port": 80, "service_ip": "10.0.0.2", "weight": -5}], ["api.main", {"port": 81}]]"#,
  ]

  @LoopActor private static func change(_ host: NerveHost, _ generator: inout SeededGenerator) throws {
    let service = "s\(Int.random(in: 0..<6, using: &generator))"
    let directory = host.directory
    switch Int.random(in: 0..<12, using: &generator) {
    case 0..<5: try directory.write(texts.randomElement(using: &generator) ?? "", to: "soa/\(service)/smartstack.yaml")
    case 5: try directory.write("\(Int.random(in: 8000..<8010, using: &generator))", to: "soa/\(service)/port")
    case 6: try directory.write(#"{"namespaces": ["main"]}"#, to: "static/\(service)")
    case 7: unlink("\(directory.path)/static/\(service)")
    case 8: try directory.write(Bool.random(using: &generator) ? "r1" : "r2", to: "etc/region")
    case 9:
      let address = "10.9.9.\(Int.random(in: 1..<4, using: &generator))"
      try directory.write("[[\(address), 2181]]", to: "zookeeper/infrastructure/s.yaml")
    case 10: try directory.write("{x: \(Int.random(in: 0..<9, using: &generator))}", to: "labels/s0.main8000")
    default: try directory.write(lists.randomElement(using: &generator) ?? "", to: "list")
    }
  }

  @Test @LoopActor func everyRunIsLikeAFirstOne() async throws {
    var generator = SeededGenerator(seed: ConfigureNerveFuzzTests.seed)
    var files = ["list": "[]"]
    for index in 0..<6 {
      files["soa/s\(index)/smartstack.yaml"] = "main: {proxy_port: 20000}"
      files["soa/s\(index)/port"] = "\(8000 + index)"
      files["static/s\(index)"] = #"{"namespaces": ["main"]}"#
    }
    let host = try NerveHost(files)
    host.options.inputs.sources.append(.file(host.directory.path + "/list"))
    let staying = NerveConfigurator(options: host.options, remembers: true)
    // Ticks of the clock that dates files are at most 10 ms.
    staying.settling = .milliseconds(40)
    host.options.outputs.nerveConfigPath += ".fresh"
    var known = 0
    for round in 0..<150 {
      try ConfigureNerveMemoryTests.change(host, &generator)
      let fresh = await host.run()
      let outcome = await staying.run(.write)
      let plain = { (text: String) in text.replacing("nerve.conf.json.fresh", with: "nerve.conf.json") }
      #expect(outcome.problems == fresh.problems.map(plain), "round \(round)")
      #expect(outcome.status == fresh.status && outcome.output == plain(fresh.output), "round \(round)")
      let text = host.directory.text(of: "nerve.conf.json")
      #expect(text == host.directory.text(of: "nerve.conf.json.fresh"), "round \(round)")
      known += staying.memory?.documents.count ?? 0
    }
    #expect(known > 150)
  }
}

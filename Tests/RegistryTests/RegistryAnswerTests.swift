import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry

@Suite("what registries answer") struct RegistryAnswerTests {
  private func json(_ text: String) throws -> JSONValue { try #require(JSONValue(Array(text.utf8))) }

  @Test func startedTasksOfMarathonAreServers() throws {
    let answer = try json(
      """
      {"tasks": [
        {"id": "b", "host": "h2.example", "ports": [31001, 31002], "startedAt": "2026-01-01T00:00:00Z"},
        {"id": "a", "host": "h1.example", "ports": [31005], "startedAt": "2026-01-01T00:00:00Z"},
        {"id": "staging", "host": "h3.example", "ports": [31003], "startedAt": null},
        {"id": "new", "host": "h3.example", "ports": [31003]},
        {"id": "evil", "host": "h4\\nserver x", "ports": [31003], "startedAt": "x"}]}
      """)
    let first = try MarathonDiscovery.reading(answer, portIndex: 0)
    #expect(first.backends.map(\.serverName) == ["h1.example_h1.example:31005", "h2.example_h2.example:31001"])
    #expect(first.skipped == ["task evil": "it has no host that is an address or a DNS name"])
    let second = try MarathonDiscovery.reading(answer, portIndex: 1)
    #expect(second.backends.map(\.port) == [31002])
    #expect(second.skipped["task a"] == "port 1 is not among its 1 ports")
    #expect(try MarathonDiscovery.reading(json("{}"), portIndex: 0) == RegistryReading())
    for text in ["[]", #"{"tasks": 1}"#] {
      #expect(throws: RegistryError.self) { try MarathonDiscovery.reading(json(text), portIndex: 0) }
    }
  }

  @Test func containersOfTheImageAreServers() throws {
    let server = DockerDiscovery.Server(name: "d", host: "10.0.0.1", endpoint: .unix(path: "/x"))
    let discovery = DockerDiscovery(servers: [server], image: "registry:5000/redis", port: 6379)
    let answer = try json(
      """
      [{"Image": "registry:5000/redis:7", "Ports": [{"PrivatePort": 6379, "PublicPort": 49153, "Type": "tcp"},
                                                   {"IP": "::", "PrivatePort": 6379, "PublicPort": 49153}]},
       {"Image": "registry:5000/redis", "Ports": [{"PrivatePort": 6379, "PublicPort": 49152}]},
       {"Image": "registry:5000/redis:7", "Ports": [{"PrivatePort": 6379}]},
       {"Image": "registry:5000/redis:7", "Ports": "0.0.0.0:49160->6379/tcp, 0.0.0.0:1->2/tcp"},
       {"Image": "other:7", "Ports": [{"PrivatePort": 6379, "PublicPort": 1}]},
       {"Image": "registry:5000/redis:7", "Ports": null}, {}, 3]
      """)
    let reading = try discovery.reading(answer, of: server)
    #expect(reading.backends.map(\.serverName) == ["d_10.0.0.1:49152", "d_10.0.0.1:49153", "d_10.0.0.1:49160"])
    #expect(throws: RegistryError.self) { try discovery.reading(json("{}"), of: server) }
    for (image, wanted, expected) in [
      ("redis:7", "redis", true), ("redis", "redis", true), ("redis:7", "redis:7", true), ("redis:8", "redis:7", false),
      ("redis@sha256:ab", "redis", true), ("r:5000/redis", "r", false), ("redis2:7", "redis", false),
    ] {
      #expect(DockerDiscovery.matches(image, wanted: wanted) == expected, "\(image) \(wanted)")
    }
  }

  @Test func keysOfEtcdAreServers() throws {
    func text(_ plain: String) -> String { Base64.text(Array(plain.utf8)) }
    let good = text(#"{"host": "10.0.0.1", "port": 80, "name": "a", "weight": -1}"#)
    let answer = try json(
      """
      {"header": {}, "kvs": [{"key": "\(text("/svc/web/h/7"))", "value": "\(good)"},
       {"key": "\(text("/svc/web/empty"))"}, {"key": "\(text("/svc/web/bad"))", "value": "\(text("{"))"}], "count": "3"}
      """)
    let reading = try EtcdDiscovery.reading(answer)
    #expect(reading.backends.map(\.serverName) == ["a_10.0.0.1:80"])
    #expect(reading.backends.map(\.id) == [7])
    #expect(reading.skipped.keys.sorted() == ["/svc/web/bad", "/svc/web/empty"])
    #expect(reading.ignored.keys.sorted() == ["/svc/web/h/7"])
    #expect(try EtcdDiscovery.reading(json(#"{"header": {}}"#)) == RegistryReading())
    for text in ["{}", "[]", #"{"header": {}, "kvs": [{"key": "%"}]}"#, #"{"header": {}, "kvs": {}}"#] {
      #expect(throws: RegistryError.self) { try EtcdDiscovery.reading(json(text)) }
    }
  }

  @Test func webAddressesAreSplit() throws {
    let plain = try #require(WebAddress("http://marathon.example/v2?x=1"))
    #expect(plain.endpoint == .tcp(host: "marathon.example", port: 80) && plain.target == "/v2?x=1" && plain.tls == nil)
    let secure = try #require(WebAddress("HTTPS://[2001:db8::1]:8443"))
    #expect(secure.endpoint == .tcp(host: "2001:db8::1", port: 8443) && secure.target == "/")
    #expect(secure.tls?.verify == true)
    for text in [
      "", "ftp://a/", "http://", "http://u@a/", "http://a:x/", "http://a:0/", "http://a/b c", "http://a/#x",
      "http://[::1]x/", "http://[::1/", "//a",
    ] {
      #expect(WebAddress(text) == nil, "\(text)")
    }
  }

  /// Whatever a registry answers: no trap, and only servers that may stand in HAProxy's file.
  @Test func spoiledAnswersHoldOnlyServersForHAProxysFile() {
    let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 5_000
    let samples = [
      #"{"tasks":[{"id":"b","host":"h2.example","ports":[31001,31002],"startedAt":"x"}]}"#,
      #"[{"Image":"redis:7","Ports":[{"PrivatePort":6379,"PublicPort":49153}]},{"Image":"redis","Ports":"1:2->6379/t"}]"#,
      #"{"header":{},"kvs":[{"key":"YQ==","value":"eyJob3N0IjoiYSIsInBvcnQiOjF9"}]}"#,
    ]
    let pieces = ["->", ":", ",", "[", "]", "{", "}", "\"", "null", "-1", "99999999999999999999", "6379", "\\n", "1e5"]
    let server = DockerDiscovery.Server(name: nil, host: "10.0.0.1", endpoint: .unix(path: "/x"))
    let docker = DockerDiscovery(servers: [server], image: "redis", port: 6379)
    var generator = SeededGenerator(seed: seed)
    for round in 0..<rounds {
      guard var text = samples.randomElement(using: &generator) else { continue }
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = text.index(text.startIndex, offsetBy: Int.random(in: 0..<text.count, using: &generator))
        if Bool.random(using: &generator) {
          text.insert(contentsOf: pieces.randomElement(using: &generator) ?? "", at: place)
        } else if text.count > 1 {
          text.remove(at: place)
        }
      }
      guard let answer = JSONValue(Array(text.utf8)) else { continue }
      let readings = [
        try? MarathonDiscovery.reading(answer, portIndex: 0), try? docker.reading(answer, of: server),
        try? EtcdDiscovery.reading(answer),
      ]
      for backend in readings.compactMap({ $0?.backends }).joined() {
        #expect(
          ServerText.isHost(backend.host) && (1...65_535).contains(backend.port),
          "seed \(seed), round \(round): \(text)")
      }
    }
  }
}

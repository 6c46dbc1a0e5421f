import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("what registries answer") struct RegistryAnswerTests {
  private func json(_ text: String) throws -> JSONValue { try #require(JSONValue(Array(text.utf8))) }

  @Test func tasksOfMarathon() throws {
    let answer = try json(
      """
      {"tasks": [
        {"id": "b", "host": "h2.example", "ports": [31001, 31002], "startedAt": "2026-01-01T00:00:00Z"},
        {"id": "a", "host": "h1.example", "ports": [31005], "startedAt": "2026-01-01T00:00:00Z"},
        {"id": "staging", "host": "h3.example", "ports": [31003], "startedAt": null},
        {"id": "new", "host": "h3.example", "ports": [31003]},
        {"id": "evil", "host": "h4\\nserver x", "ports": [31003], "startedAt": "x"}]}
      """)
    let first = try Marathon.reading(answer, portIndex: 0)
    #expect(first.backends.map(\.serverName) == ["h1.example_h1.example:31005", "h2.example_h2.example:31001"])
    #expect(first.skipped == ["task evil": "it has no host that is an address or a DNS name"])
    let second = try Marathon.reading(answer, portIndex: 1)
    #expect(second.backends.map(\.port) == [31002])
    #expect(second.skipped["task a"] == "port 1 is not among its 1 ports")
    #expect(try Marathon.reading(json("{}"), portIndex: 0) == PartReading())
    for text in ["[]", #"{"tasks": 1}"#] {
      #expect(throws: RegistryError.self) { try Marathon.reading(json(text), portIndex: 0) }
    }
  }

  @Test func containersOfDocker() throws {
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
    let reading = try Docker.reading(answer, server, discovery)
    #expect(reading.backends.map(\.serverName) == ["d_10.0.0.1:49152", "d_10.0.0.1:49153", "d_10.0.0.1:49160"])
    #expect(throws: RegistryError.self) { try Docker.reading(json("{}"), server, discovery) }
    for (image, wanted, expected) in [
      ("redis:7", "redis", true), ("redis", "redis", true), ("redis:7", "redis:7", true), ("redis:8", "redis:7", false),
      ("redis@sha256:ab", "redis", true), ("r:5000/redis", "r", false), ("redis2:7", "redis", false),
    ] {
      #expect(Docker.matches(image, wanted) == expected, "\(image) \(wanted)")
    }
  }

  @Test func keysOfEtcd() throws {
    func text(_ plain: String) -> String { Base64.text(Array(plain.utf8)) }
    let good = text(#"{"host": "10.0.0.1", "port": 80, "name": "a", "weight": -1}"#)
    let answer = try json(
      """
      {"header": {}, "kvs": [{"key": "\(text("/svc/web/h/7"))", "value": "\(good)"},
       {"key": "\(text("/svc/web/empty"))"}, {"key": "\(text("/svc/web/bad"))", "value": "\(text("{"))"}], "count": "3"}
      """)
    let reading = try EtcdAnswer.reading(answer, below: "/svc/web")
    #expect(reading.backends.map(\.serverName) == ["a_10.0.0.1:80"])
    #expect(reading.backends.map(\.id) == [7])
    #expect(reading.skipped.keys.sorted() == ["/svc/web/bad", "/svc/web/empty"])
    #expect(reading.ignored.keys.sorted() == ["/svc/web/h/7"])
    #expect(try EtcdAnswer.reading(json(#"{"header": {}}"#), below: "/svc/web") == PartReading())
    for text in ["{}", "[]", #"{"header": {}, "kvs": [{"key": "%"}]}"#, #"{"header": {}, "kvs": {}}"#] {
      #expect(throws: RegistryError.self) { try EtcdAnswer.reading(json(text), below: "/svc/web") }
    }
  }

  @Test func addressesOfTheWeb() throws {
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
  @Test func fuzzAnswers() {
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
        try? Marathon.reading(answer, portIndex: 0), try? Docker.reading(answer, server, docker),
        try? EtcdAnswer.reading(answer, below: "/a"),
      ]
      for backend in readings.compactMap({ $0?.backends }).joined() {
        #expect(
          ServerText.isHost(backend.host) && (1...65_535).contains(backend.port),
          "seed \(seed), round \(round): \(text)")
      }
    }
  }
}

@Suite("registries", .timeLimit(.minutes(3))) struct RegistryTests {
  /// An HTTP server whose answer a test can change.
  @LoopActor private final class Scripted {
    var status = 200
    var body = "{}"
    private(set) var targets: Set<String> = []
    private var listener: HTTPListener?

    func listen(on endpoint: Endpoint) throws -> Endpoint {
      let listener = HTTPListener { [weak self] exchange in
        guard let self else { return }
        self.targets.insert(exchange.target)
        exchange.respond(status: self.status, text: self.body)
      }
      self.listener = listener
      return try listener.listen(on: endpoint)
    }

    func close() { listener?.close() }
  }

  @Test @LoopActor func marathonIsPolled() async throws {
    let server = Scripted()
    let endpoint = try server.listen(on: .tcp(host: "127.0.0.1", port: 0))
    server.body = #"{"tasks":[{"id":"a","host":"10.0.0.1","ports":[1],"startedAt":"x"}]}"#
    let watched = try WatchedService(
      """
      discovery: {method: marathon, marathon_api_url: "http://\(endpoint)", application_name: web/main,
        check_interval: 0.1}
      use_previous_backends: false
      """)
    try await watched.publishes(["10.0.0.1_10.0.0.1:1"])
    #expect(server.targets == ["/v2/apps/web/main/tasks"])
    (server.status, server.body) = (500, "out of order")
    try await watched.logs("registry cannot be asked, what it said last stands")
    #expect(watched.journal.contains("the answer is HTTP 500: out of order"))
    #expect(watched.servers == ["10.0.0.1_10.0.0.1:1"])
    (server.status, server.body) = (200, #"{"tasks":[]}"#)
    try await watched.publishes([])
    try await watched.stop()
    server.close()
  }

  @Test @LoopActor func dockerOverTCPAndASocketEachKeepTheirLast() async throws {
    let directory = TemporaryDirectory()
    let (one, two) = (Scripted(), Scripted())
    let endpoint = try one.listen(on: .tcp(host: "127.0.0.1", port: 0))
    guard case .tcp(_, let port) = endpoint else { return }
    one.body = #"[{"Image":"redis:7","Ports":[{"PrivatePort":6379,"PublicPort":1001}]}]"#
    two.body = #"[{"Image":"redis:7","Ports":[{"PrivatePort":6379,"PublicPort":2001}]}]"#
    _ = try two.listen(on: .unix(path: "\(directory.path)/docker.sock"))
    let watched = try WatchedService(
      """
      discovery:
        method: docker
        image_name: redis
        container_port: 6379
        check_interval: 0.1
        servers:
          - {name: one, host: 127.0.0.1, port: \(port)}
          - {name: two, host: 10.0.0.2, socket: \(directory.path)/docker.sock}
      """)
    try await watched.publishes(["one_127.0.0.1:1001", "two_10.0.0.2:2001"])
    #expect(one.targets == ["/containers/json"])
    two.close()
    try await watched.logs("registry cannot be asked, what it said last stands")
    one.body = #"[{"Image":"redis:7","Ports":[{"PrivatePort":6379,"PublicPort":1002}]}]"#
    try await watched.publishes(["one_127.0.0.1:1002", "two_10.0.0.2:2001"])
    try await watched.stop()
    one.close()
  }

  @Test @LoopActor func filesAreFollowed() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/registrations"
    let watched = try WatchedService(
      "{discovery: {method: file, path: \(path)/, service: web.main}, previous_backends_window: 0}")
    try await watched.publishes([])
    try directory.write(
      #"{"host": "10.0.0.1", "port": 80, "name": "a", "labels": {"x": "y"}}"#, to: "registrations/web.main@h1.json")
    try directory.write(#"{"host": "10.0.0.9", "port": 80}"#, to: "registrations/other@h1.json")
    try directory.write(#"{"host": "10.0.0.9""#, to: "registrations/web.main@bad.json")
    try directory.write("x", to: "registrations/.web.main@h3.json.1~")
    try await watched.publishes(["a_10.0.0.1:80"])
    #expect(watched.snapshots.last?.backends.first?.labels == ["x": "y"])
    try await watched.logs("web.main@bad.json")
    try directory.write(#"{"host": "10.0.0.2", "port": 80}"#, to: "registrations/web.main@bad.json")
    try await eventually("the corrected one is there") { watched.servers?.count == 2 }
    try Files.remove("\(path)/web.main@h1.json")
    try await watched.publishes(["10.0.0.2:80"])
    try Files.remove("\(path)/web.main@bad.json")
    try await watched.logs("no registrations, the previous servers are kept")
    #expect(watched.servers == ["10.0.0.2:80"])
    #expect(RegistrationDirectory.escaped(".web/a b") == "%2eweb%2fa%20b")
    try await watched.stop()
  }

  @Test @LoopActor func keysOfAnEtcdAreFollowed() async throws {
    let etcd = try EtcdServer()
    try await etcd.start()
    func put(_ key: String, _ value: String) async throws {
      let (key, value) = (Base64.text(Array(key.utf8)), Base64.text(Array(value.utf8)))
      let request = HTTPRequest(
        method: "POST", endpoint: .tcp(host: "127.0.0.1", port: etcd.port), target: "/v3/kv/put",
        body: Array("{\"key\":\"\(key)\",\"value\":\"\(value)\"}".utf8))
      #expect(try await HTTPClient.send(request, deadline: .seconds(10)).status == 200)
    }
    try await put("/svc/web/h1/web", #"{"host": "10.0.0.1", "port": 80}"#)
    try await put("/svc/web2/h1/web", #"{"host": "10.0.0.9", "port": 80}"#)
    // Nothing answers at the first member; the interval is too long to help.
    let watched = try WatchedService(
      """
      discovery: {method: etcd, hosts: ["127.0.0.1:\(try freePort())", "127.0.0.1:\(etcd.port)"], path: svc/web/,
        check_interval: 3600}
      """)
    try await watched.publishes(["10.0.0.1:80"])
    try await put("/svc/web/h2/web", #"{"host": "10.0.0.2", "port": 80}"#)
    try await watched.publishes(["10.0.0.1:80", "10.0.0.2:80"])
    let before = watched.snapshots
    await etcd.kill()
    try await watched.logs("etcd's watch has ended")
    #expect(watched.snapshots == before)
    try await etcd.start()
    try await put("/svc/web/h3/web", #"{"host": "10.0.0.3", "port": 80}"#)
    try await watched.publishes(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"])
    try await watched.stop()
    await etcd.kill()
  }
}

import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry
@testable import SynapseAgent

@Suite("registries", .timeLimit(.minutes(3 * patience))) struct RegistryTests {
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
    try await watched.logs("registry query failed, last answer kept")
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
    try await watched.logs("registry query failed, last answer kept")
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
    try await watched.logs("no registrations, previous servers kept")
    #expect(watched.servers == ["10.0.0.2:80"])
    #expect(FileTarget.nameBeginning(of: ".web/a b") == "%2eweb%2fa%20b@")
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
    try await watched.logs("etcd watch ended")
    #expect(watched.snapshots == before)
    try await etcd.start()
    try await put("/svc/web/h3/web", #"{"host": "10.0.0.3", "port": 80}"#)
    try await watched.publishes(["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"])
    try await watched.stop()
    await etcd.kill()
  }

  private static func page(of id: String, at address: String, next: String = "") -> String {
    """
    <DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>\(id)</instanceId>
    <instanceState><name>running</name></instanceState><privateDnsName>ip-\(id).internal</privateDnsName>
    <privateIpAddress>\(address)</privateIpAddress></item></instancesSet></item></reservationSet>\(next)
    </DescribeInstancesResponse>
    """
  }

  @Test @LoopActor func instancesArePolledPageByPage() async throws {
    @LoopActor final class Amazon {
      var bodies: [String] = []
      var isBroken = false
    }
    let amazon = Amazon()
    let listener = HTTPListener { exchange in
      let body = String(decoding: exchange.body, as: UTF8.self)
      amazon.bodies.append(body)
      if amazon.isBroken { return exchange.respond(status: 503, text: "<Response><Errors/></Response>") }
      let isSecond = body.contains("NextToken=two")
      exchange.respond(
        status: 200,
        text: isSecond
          ? RegistryTests.page(of: "i-2", at: "10.0.0.2")
          : RegistryTests.page(of: "i-1", at: "10.0.0.1", next: "<nextToken>two</nextToken>"))
    }
    let endpoint = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0))
    let watched = try WatchedService(
      """
      discovery: {method: ec2tag, tag_name: role, tag_value: web server, aws_region: eu-west-1, check_interval: 0.1,
        aws_access_key_id: AKID, aws_secret_access_key: secret, aws_endpoint: "http://\(endpoint)"}
      haproxy: {server_port_override: 8080}
      """)
    try await watched.publishes(["ip-i-1.internal_10.0.0.1:8080", "ip-i-2.internal_10.0.0.2:8080"])
    #expect(
      amazon.bodies.first == "Action=DescribeInstances&Version=2016-11-15&MaxResults=1000&Filter.1.Name=tag%3Arole"
        + "&Filter.1.Value.1=web%20server&Filter.2.Name=instance-state-name&Filter.2.Value.1=running")
    let before = watched.snapshots
    amazon.isBroken = true
    try await watched.logs("registry query failed, last answer kept")
    #expect(watched.snapshots == before)
    #expect(!watched.journal.contains("secret"))
    try await watched.stop()
    listener.close()
  }

  @Test @LoopActor func aFileTogglesAndABadOneDoesNot() async throws {
    let directory = TemporaryDirectory()
    try directory.write("{\"primary\": 1, \"other\": 0}", to: "weights")
    try directory.write(#"{"host": "10.0.0.1", "port": 1}"#, to: "one/a@h.json")
    try directory.write(#"{"host": "10.0.0.2", "port": 2}"#, to: "two/a@h.json")
    let watched = try WatchedService(
      """
      discovery: {method: file, path: \(directory.path)/one}
      discovery_multi:
        watchers: {other: {method: file, path: \(directory.path)/two}}
        resolver: {method: s3_toggle, s3_url: "file://\(directory.path)/weights", s3_polling_interval_seconds: 0.1}
      """)
    try await watched.publishes(["10.0.0.1:1"])
    try directory.write("primary: 0\nother: 3\n", to: "weights")
    try await watched.publishes(["10.0.0.2:2"])
    try directory.write("primary: x\n", to: "weights")
    try await watched.logs("watcher weights rejected, active watcher kept")
    #expect(watched.servers == ["10.0.0.2:2"])
    try await watched.stop()
  }
}

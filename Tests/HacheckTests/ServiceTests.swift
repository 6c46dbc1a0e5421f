import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

@Suite struct LiveCheckTests {
  @Test(arguments: [(200, 200), (201, 201), (204, 204), (302, 302), (404, 404), (418, 418), (500, 500), (599, 503)])
  @LoopActor func codesArePassedOn(_ code: Int, _ status: Int) async throws {
    let hacheck = try ServiceFixture()
    let backend = try Backend(status: code, text: code == 204 ? "" : "body")
    let answer = try await hacheck.get("/http/svc.main/\(backend.port)/status")
    #expect(answer.status == status)
    #expect(answer.text == (code == 204 ? "" : "body"))
    #expect(answer.header("Content-Type") == "text/plain; charset=UTF-8")
    #expect(answer.header("Location") == nil)
  }

  @Test(arguments: ["", "a/b/c", "status?a=1&b=%20", "a%20b", "../../etc/passwd", "%2e%2e/x", "a+b"])
  @LoopActor func pathsAreSentAsTheyCame(_ path: String) async throws {
    let hacheck = try ServiceFixture()
    let backend = try Backend()
    #expect(try await hacheck.get("/http/svc.main/\(backend.port)/\(path)").status == 200)
    #expect(backend.requests.map(\.target) == ["/\(path)"])
  }

  @Test @LoopActor func headersAreCopiedAsConfigured() async throws {
    let hacheck = try ServiceFixture {
      $0.headersToCopy = ["x-foo", "X-Svc", "Connection", "Content-Length"]
      $0.serviceNameHeader = "X-Svc"
    }
    let backend = try Backend()
    let headers = ["X-FOO": "bar", "X-Bar": "no", "X-Svc": "client", "Host": "www.test.com"]
    _ = try await hacheck.get("/http/svc.main/\(backend.port)/status", headers)
    let seen = try #require(backend.requests.first)
    #expect(seen.header("X-Foo") == "bar")
    #expect(seen.header("X-Bar") == nil)
    #expect(seen.headers("X-Svc") == ["svc.main"])
    #expect(seen.header("Host") == "127.0.0.1:\(backend.port)")
    #expect(seen.header("User-Agent") == "smartstack-hacheck")
    #expect(seen.header("Content-Length") == nil)
  }

  @Test @LoopActor func theHostIsCopiedByDefault() async throws {
    let hacheck = try ServiceFixture()
    let backend = try Backend()
    _ = try await hacheck.get("/http/svc.main/\(backend.port)/status", ["Host": "www.test.com"])
    #expect(backend.requests.first?.header("Host") == "www.test.com")
  }

  @Test @LoopActor func longBodiesAreCut() async throws {
    let hacheck = try ServiceFixture { $0.bodyLimit = 10 }
    let backend = try Backend(text: String(repeating: "x", count: 1000))
    let answer = try await hacheck.get("/http/svc.main/\(backend.port)/status")
    #expect(answer.status == 200)
    #expect(answer.text == "xxxxxxxxxx")
  }

  @Test(arguments: ["http", "https", "tcp", "smtp", "redis"])
  @LoopActor func aRefusedConnectionIsAnsweredAtOnce(_ kind: String) async throws {
    // The deadline is far away: an answer that waited for it would never come.
    let hacheck = try ServiceFixture { $0.healthcheckTimeout = .seconds(3600) }
    let answer = try await hacheck.get("/\(kind)/svc.main/\(ScriptedServer.refusing.port)/status")
    #expect(answer.status == 503)
    #expect(!answer.text.lowercased().contains("timed out"))
    #expect(answer.text.contains("refused"))
  }

  @Test(arguments: ["http", "https", "smtp"]) @LoopActor func aSilentServiceIsDownAtTheDeadline(_ kind: String)
    async throws
  {
    let hacheck = try ServiceFixture { $0.healthcheckTimeout = .milliseconds(100) }
    let silent = ScriptedServer(nil)
    let answer = try await hacheck.get("/\(kind)/svc.main/\(silent.port)/status")
    #expect(answer.status == 503)
    // A refusal at once would say so.
    #expect(answer.text.contains(/did not answer within 0\.\d+ s|Connection timed out after/), "\(answer.text)")
  }

  @Test @LoopActor func portZeroIsNotAsked() async throws {
    let answer = try await ServiceFixture().get("/http/svc.main/0/status")
    #expect(answer.status == 503)
  }

  @Test @LoopActor func tcpSaysHowLongItTook() async throws {
    let hacheck = try ServiceFixture()
    let listening = ScriptedServer(nil)
    let answer = try await hacheck.get("/tcp/svc.main/\(listening.port)")
    #expect(answer.status == 200)
    #expect(answer.text.wholeMatch(of: /Connected in [0-9]+\.[0-9][0-9]s/) != nil)
  }

  @Test(arguments: [
    "HTTP/1.0 200 OK\r\n\r\nuntil close", "HTTP/1.1 200\r\nContent-Length: 11\r\n\r\nuntil close",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nuntil close",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nuntil\r\n6\r\n close\r\n0\r\n\r\n",
  ]) @LoopActor func oddAnswersAreUnderstood(_ raw: String) async throws {
    let server = ScriptedServer([.receive, .send(raw)])
    defer { server.stop() }
    let answer = try await ServiceFixture().get("/http/svc.main/\(server.port)/status")
    #expect(answer.status == 200)
    #expect(answer.text == "until close")
  }

  @Test(arguments: ["", "hello, no header", "HTTP/2 200\r\n\r\n", "\r\n\r\n"])
  @LoopActor func whatIsNoAnswerIsDown(_ raw: String) async throws {
    let server = ScriptedServer([.receive, .send(raw)])
    defer { server.stop() }
    #expect(try await ServiceFixture().get("/http/svc.main/\(server.port)/status").status == 503)
  }
}

@Suite struct CachedServiceTests {
  @Test(arguments: [[:], ["Pragma": "no-cache"]])
  @LoopActor func twoHundredClientsOfAColdKeyMakeOneCheck(_ headers: [String: String]) async throws {
    let hacheck = try ServiceFixture()
    var held: [HTTPExchange] = []
    let backend = try Backend { held.append($0) }
    let target = "/http/svc.main/\(backend.port)/a"
    let clients = (0..<200).map { _ in Task { @LoopActor in try await hacheck.get(target, headers).status } }
    try await eventually("all have asked") {
      try await hacheck.get("/status").text.contains("\"gets\": 200")
    }
    #expect(held.count == 1)
    held.first?.respond(status: 200, text: "x")
    for client in clients { #expect(try await client.value == 200) }
    #expect(backend.requests.count == 1)
  }

  @Test @LoopActor func aHungServiceDelaysNoOther() async throws {
    let hacheck = try ServiceFixture {
      $0.healthcheckTimeout = .seconds(3600)
      $0.checksPerTarget = 2
    }
    let silent = ScriptedServer(nil)
    let stuck = (0..<50).map { number in
      Task { @LoopActor in
        await hacheck.service.check(
          CheckPath(protocol: .http, service: "hung", port: silent.port, query: "\(number)"))
      }
    }
    try await eventually("all have asked") {
      try await hacheck.get("/status").text.contains("\"outbound_request_queue_size\": 48")
    }
    let backend = try Backend()
    #expect(try await hacheck.get("/http/fine/\(backend.port)/status").status == 200)
    for task in stuck { task.cancel() }
  }

  @Test @LoopActor func cachedAnswersAreSharedButNotAcrossChecks() async throws {
    let hacheck = try ServiceFixture()
    let backend = try Backend(status: 500, text: "boom")
    for path in ["http/a/\(backend.port)/s", "http/b/\(backend.port)/s", "http/a/\(backend.port)/s?q=1"] {
      #expect(try await hacheck.get("/\(path)").text == "boom")
    }
    #expect(backend.requests.count == 1)
    #expect(try await hacheck.get("/tcp/a/\(backend.port)/s").status == 200)
    #expect(try await hacheck.get("/http/a/\(backend.port)/t").status == 500)
    #expect(backend.requests.count == 2)
    let text = try await hacheck.get("/status").text
    #expect(text.hasPrefix(#"{"cache": {"expirations": 0, "sets": 3, "gets": 5, "hits": 2, "misses": 3}, "uptime": "#))
  }

  @Test @LoopActor func aServiceThatIsToldItsNameHasItsOwnAnswers() async throws {
    let hacheck = try ServiceFixture { $0.serviceNameHeader = "X-Svc" }
    let backend = try Backend()
    for name in ["a", "b", "a"] { _ = try await hacheck.get("/http/\(name)/\(backend.port)/s") }
    #expect(backend.requests.compactMap { $0.header("X-Svc") } == ["a", "b"])
  }

  @Test @LoopActor func aMarkSetDuringACheckIsTheNewerWord() async throws {
    // The mark waits for the disk, which may take its time.
    let hacheck = try ServiceFixture { $0.healthcheckTimeout = .seconds(300) }
    var held: [HTTPExchange] = []
    let backend = try Backend { held.append($0) }
    let request = CheckPath(protocol: .http, service: "web", port: backend.port, query: "s")
    let asked = Task { @LoopActor in await hacheck.service.check(request) }
    try await eventually("the check is under way") { held.count == 1 }
    try await hacheck.service.down(.service("web"), reason: "drain", creation: 5)
    held.first?.respond(status: 200, text: "fine")
    let answer = await asked.value
    #expect(answer.status == 503)
    #expect(answer.text == "Service web in down state since 5.000000: drain")
  }

  @Test @LoopActor func memoryIsBoundedWhateverIsAsked() async throws {
    let hacheck = try ServiceFixture {
      $0.seenServicesSize = 100
      $0.cacheSize = 100
    }
    let closed = ScriptedServer.refusing.port
    for number in 0..<1000 {
      let path = "/\(number.isMultiple(of: 10) ? "http" : "spool")/service-\(number)/\(closed)/\(number)"
      let request = try #require(try CheckPath(reading: path[...]))
      _ = await hacheck.service.check(request)
    }
    let seen = try #require(JSONValue(try await hacheck.get("/status/count").body))
    guard case .object(let services)? = seen["service_access_counts"] else { throw ConditionTimeoutless() }
    #expect(services.count == 100)
    #expect(hacheck.metrics.render().contains("hacheck_cache_entries 100\n"))
  }

  private struct ConditionTimeoutless: Error {}
}

@Suite struct SpoolServiceTests {
  @Test @LoopActor func downIsToldToTheLetter() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    let backend = try Backend()
    let posted = try await hacheck.post("/spool/svc.main/\(backend.port)/status", "status=down&reason=x&creation=5")
    #expect(posted.status == 200)
    #expect(posted.text == "")
    for kind in ["spool", "http", "tcp"] {
      let answer = try await hacheck.get("/\(kind)/svc.main/\(backend.port)/status")
      #expect(answer.status == 503)
      #expect(answer.text == "Service svc.main in down state since 5.000000: x")
    }
    #expect(backend.requests.isEmpty)
    #expect(try await hacheck.get("/spool/svc.main/1/status").status == 200)
    #expect(try await hacheck.post("/spool/svc.main/\(backend.port)/status", "status=up").status == 200)
    #expect(try await hacheck.get("/spool/svc.main/\(backend.port)/status").text == "")
    #expect(try await hacheck.get("/http/svc.main/\(backend.port)/status").text == "hello")
  }

  @Test @LoopActor func aCachedAnswerDoesNotHideAMark() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    let backend = try Backend()
    let target = "/http/svc.main/\(backend.port)/status"
    #expect(try await hacheck.get(target).status == 200)
    _ = try await hacheck.post("/spool/all/0/status", "status=down&reason=x&creation=1")
    #expect(try await hacheck.get(target).text == "Service all in down state since 1.000000: x")
  }

  @Test @LoopActor func portZeroIsTheWholeServiceInOrders() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    _ = try await hacheck.post("/spool/svc.main/0/status", "status=down&reason=x&creation=5")
    #expect(hacheck.service.downtime(for: "svc.main", port: nil)?.scope == .service("svc.main"))
    #expect(try await hacheck.get("/spool/svc.main/9/status").status == 503)
  }

  static let refusals: [(form: String, status: Int)] = [
    ("status=down", 400), ("status=down&reason=x&expiration=soon", 400), ("status=sideways", 400), ("", 400),
  ]

  @Test(arguments: refusals) @LoopActor func badOrdersAreRefused(_ c: (form: String, status: Int)) async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    let answer = try await hacheck.post("/spool/svc.main/8080/status", c.form)
    #expect(answer.status == c.status)
    #expect(!answer.text.isEmpty)
    #expect(hacheck.service.downtime(for: "svc.main", port: 8080) == nil)
  }

  @Test @LoopActor func changesMustBeAllowed() async throws {
    let closed = try ServiceFixture()
    #expect(try await closed.post("/spool/svc.main/8080/status", "status=down&reason=x").status == 403)
    let elsewhere = try ServiceFixture {
      $0.allowsSpoolChanges = true
      $0.spoolChangeNetworks = AddressRange("10.0.0.0/8").map { [$0] }
    }
    let refused = try await elsewhere.post("/spool/svc.main/8080/status", "status=down&reason=x")
    #expect(refused.status == 403)
    #expect(refused.text.contains("spool_change_networks"))
    let here = try ServiceFixture {
      $0.allowsSpoolChanges = true
      $0.spoolChangeNetworks = AddressRange("127.0.0.0/8").map { [$0] }
    }
    #expect(try await here.post("/spool/svc.main/8080/status", "status=down&reason=x").status == 200)
  }

  @Test @LoopActor func aSpoolThatCannotBeWrittenIsSaid() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    rmdir(hacheck.directory.path)
    let answer = try await hacheck.post("/spool/svc.main/8080/status", "status=down&reason=x")
    #expect(answer.status == 500)
    #expect(answer.text.contains(hacheck.directory.path))
  }

  @Test @LoopActor func aFileWrittenBeforeAQuestionIsSeenByIt() async throws {
    let hacheck = try ServiceFixture()
    for round in 0..<50 {
      hacheck.write("round \(round)", mark: "svc.main")
      #expect(try await hacheck.get("/spool/svc.main/1/s").text == "Service svc.main in down state: round \(round)")
    }
  }
}

@Suite struct HostHeaderTests {
  @Test @LoopActor func theHeaderSaysWhichMarkAndWhichInstance() async throws {
    let hacheck = try ServiceFixture()
    let backend = try Backend(address: "127.0.0.2")
    let state = ["X-Haproxy-Server-State": "UP 2/3; address=127.0.0.2; port=\(backend.port); name=svc/x; scur=0/1"]
    #expect(try await hacheck.get("/http/svc.main/0/status", state).text == "hello")
    hacheck.write("host", mark: "svc.main:127.0.0.2:\(backend.port)")
    try await eventually("the mark is seen") {
      hacheck.service.downtime(for: "svc.main", port: backend.port, host: "127.0.0.2") != nil
    }
    #expect(try await hacheck.get("/http/svc.main/0/status", state).status == 503)
    let nerve = ["X-Nerve-Check-IP": "127.0.0.2"]
    #expect(try await hacheck.get("/spool/svc.main/\(backend.port)/status", nerve).status == 503)
    #expect(try await hacheck.get("/spool/svc.main/\(backend.port)/status").status == 200)
  }

  @Test @LoopActor func theHostsOwnAddressIsThisMachine() async throws {
    let hacheck = try ServiceFixture()
    hacheck.write("plain", mark: "svc.main:80")
    try await eventually("the mark is seen") { hacheck.service.downtime(for: "svc.main", port: 80) != nil }
    for address in ["127.0.0.9", "127.0.0.1", "", "::ffff:127.0.0.1"] {
      #expect(try await hacheck.get("/spool/svc.main/80/s", ["X-Nerve-Check-IP": address]).status == 503)
    }
    #expect(hacheck.service.downtime(for: "svc.main", port: 80, host: "127.0.0.9") != nil)
    #expect(hacheck.service.downtime(for: "svc.main", port: 80, host: "127.0.0.2") == nil)
  }

  @Test(arguments: ["10.254.253.252", "2001:db8::1", "no such host", "user:pw@127.0.0.1", "[::1]", "/x"])
  @LoopActor func foreignAndBadHostsAreRefused(_ address: String) async throws {
    let hacheck = try ServiceFixture()
    let answer = try await hacheck.get("/http/svc.main/80/status", ["X-Nerve-Check-IP": address])
    #expect(answer.status == 400)
    #expect(!answer.text.isEmpty)
  }

  @Test @LoopActor func checkNetworksOpenMore() async throws {
    let hacheck = try ServiceFixture { $0.checkNetworks = AddressRange("10.254.0.0/16").map { [$0] } ?? [] }
    let answer = try await hacheck.get("/spool/svc.main/80/status", ["X-Nerve-Check-IP": "10.254.253.252"])
    #expect(answer.status == 200)
  }
}

@Suite struct RouteTests {
  static let methods: [(method: String, target: String, status: Int)] = [
    ("HEAD", "/status", 405), ("PUT", "/http/a/1/s", 405), ("DELETE", "/spool/a/1/s", 405), ("POST", "/recent", 405),
    ("PATCH", "/http/a/1/s", 405), ("OPTIONS", "/http/a/1/s", 405), ("POST", "/http/a/1/s", 405),
    ("GET", "/", 404), ("GET", "/foo", 404), ("GET", "/recent/", 404), ("GET", "/udp/a/1/s", 404),
    ("GET", "/spool/../1/s", 400), ("GET", "/tcp/a/70000/s", 400), ("GET", "/recent?threshold=abc", 400),
    ("GET", "/recent?threshold=", 400), ("GET", "/spool/a/1/s", 200), ("GET", "/status", 200),
  ]

  @Test(arguments: methods) @LoopActor func everyRequestHasItsStatus(_ c: (method: String, target: String, status: Int))
    async throws
  {
    let answer = try await ServiceFixture().get(c.target, method: c.method)
    #expect(answer.status == c.status)
  }

  @Test @LoopActor func theAddressThatSetADowntimeIsKept() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    #expect(try await hacheck.post("/spool/web/0/status", "status=down&reason=x").status == 200)
    #expect(hacheck.service.downtime(for: "web", port: nil)?.setter == "127.0.0.1")
  }

  @Test @LoopActor func metricsAreInThePrometheusFormat() async throws {
    let hacheck = try ServiceFixture()
    try await hacheck.service.down(.service("web"), reason: "drain", creation: 5)
    #expect(try await hacheck.get("/spool/web/1/status").status == 503)
    let answer = try await hacheck.get("/metrics")
    #expect(answer.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8")
    let lines = answer.text.split(separator: "\n").map(String.init)
    #expect(lines.contains("# TYPE hacheck_requests_total counter"))
    #expect(lines.contains(#"hacheck_requests_total{code="503",route="spool"} 1"#))
    #expect(lines.contains { $0.hasPrefix("hacheck_downtimes{") && $0.hasSuffix(" 1") })
  }

  @Test @LoopActor func recentAndCountTellWhoAsked() async throws {
    let hacheck = try ServiceFixture()
    #expect(try await hacheck.get("/recent").text == #"{"seen_services": [], "threshold_seconds": 600}"#)
    #expect(try await hacheck.get("/status/count").text == #"{"service_access_counts": {}}"#)
    for name in ["b", "a", "b"] { _ = try await hacheck.get("/spool/\(name)/1/s") }
    _ = try await hacheck.get("/tcp/c/\(ScriptedServer.refusing.port)")
    _ = try await hacheck.get("/http/d/\(ScriptedServer.refusing.port)/s")
    let recent = try #require(JSONValue(try await hacheck.get("/recent?threshold=60").body))
    guard case .array(let items)? = recent["seen_services"] else { return #expect(Bool(false), "\(recent)") }
    let shown = items.map { item -> String in
      guard case .array(let pair) = item, case .string(let name) = pair[0] else { return "?" }
      return "\(name) \(pair[1]["code"] ?? .null) \(pair[1]["remote_ip"] ?? .null)"
    }
    #expect(shown == ["a 200 \"127.0.0.1\"", "b 200 \"127.0.0.1\"", "c 503 \"127.0.0.1\"", "d 599 \"127.0.0.1\""])
    #expect(recent["threshold_seconds"]?.double == 60)
    #expect(
      try await hacheck.get("/status/count").text
        == #"{"service_access_counts": {"a": {"127.0.0.1": 1}, "b": {"127.0.0.1": 2}, "c": {"127.0.0.1": 1}, "d": {"127.0.0.1": 1}}}"#
    )
    #expect(try await hacheck.get("/recent?threshold=-1").text == #"{"seen_services": [], "threshold_seconds": -1}"#)
  }

  @Test @LoopActor func aTakenPortCanBeTriedAgain() async throws {
    let first = try ServiceFixture()
    let directory = TemporaryDirectory()
    var configuration = HacheckConfiguration()
    configuration.bindAddress = "127.0.0.1"
    configuration.ports = [first.port]
    configuration.spoolRoot = directory.path
    let second = HacheckService(configuration: configuration, logger: .quiet, metrics: first.metrics)
    try second.open()
    let refusal = #expect(throws: OperatorError.self) { try second.listen() }
    #expect(refusal?.description.hasPrefix("cannot listen on 127.0.0.1 port \(first.port): another program") == true)
    first.service.stop()
    #expect(try second.listen() == [first.port])
    second.stop()
  }

  @Test @LoopActor func requestsAreCounted() async throws {
    let hacheck = try ServiceFixture()
    for _ in 0..<3 { _ = try await hacheck.get("/spool/a/1/s") }
    _ = try await hacheck.get("/nothing")
    let text = hacheck.metrics.render()
    #expect(text.contains(#"hacheck_requests_total{code="200",route="spool"} 3"#))
    #expect(text.contains(#"hacheck_requests_total{code="404",route="unknown"} 1"#))
  }
}

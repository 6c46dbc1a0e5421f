import SmartStack
import Testing

@testable import HAProxyConfigGen

@Suite("the file") struct RenderTests {
  private static let backendHeader = "backend web.main"

  @Test("the file ends with a newline, and the same input gives the same text") func deterministic() throws {
    let one = Fixture.model([Fixture.backend(1), Fixture.backend(2)]).render().text
    let other = Fixture.model([Fixture.backend(2), Fixture.backend(1)]).render().text
    #expect(one == other)
    #expect(one.hasSuffix("fall 2\n"))
    #expect(try HAProxyTool.check(one).isAccepted)
  }

  @Test(
    "difference 2: cookies only where the backend has the directive",
    arguments: [
      ([], [], false), (["cookie SRV insert"], [], true), ([], ["cookie SRV insert"], true),
      (["cookie SRV insert", "mode  tcp"], [], false), (["mode http", "cookie SRV insert"], ["mode tcp"], true),
      (["cookieless"], [], false),
    ] as [([String], [String], Bool)])
  func cookies(_ backend: [String], _ defaults: [String], _ hasCookie: Bool) {
    var settings = Fixture.settings
    settings.defaults += defaults
    let service = Fixture.service { $0.backend = backend }
    let lines = Fixture.model([Fixture.backend(1)], settings: settings, service: service).lines(
      of: RenderTests.backendHeader)
    #expect(lines.last?.contains(" cookie i-1_10.0.0.1:8001 ") == hasCookie)
  }

  @Test("cookie values may be hashes") func hashedCookie() {
    let service = Fixture.service {
      $0.backend = ["cookie SRV insert"]
      $0.hashesCookies = true
    }
    let line = Fixture.model([Fixture.backend(1)], service: service).lines(of: RenderTests.backendHeader).last
    #expect(line?.contains("cookie \(MessageDigest.sha1.hash("i-1_10.0.0.1:8001".utf8).hexadecimal) ") == true)
  }

  @Test(
    "difference 3: what no server can be made of is skipped by name, the others stay",
    arguments: [
      (Backend(name: "evil\n\tserver x", host: "10.0.0.66", port: 1), "its name"),
      (Backend(name: "bücher", host: "10.0.0.66", port: 1), "its name"),
      (Backend(name: "a b", host: "10.0.0.66", port: 1), "its name"),
      (Backend(name: "e", host: "unix@/x", port: 1), "neither an address nor a host name"),
      (Backend(name: "e", host: "10.0.0.66", port: 0), "outside 1...65535"),
      (Backend(name: "e", host: "10.0.0.66", port: 99_999), "outside 1...65535"),
      (Backend(name: "e", host: "10.0.0.66", port: 1, haproxyServerOptions: "backup\nfrontend evil"), "a character"),
      (Backend(name: "e", host: "10.0.0.66", port: 1, haproxyServerOptions: "backup id"), "lacks its value"),
      (Backend(name: "e", host: "10.0.0.66", port: 1, haproxyServerOptions: "%{nope}"), "%{nope} is none of"),
    ])
  func skipped(_ backend: Backend, _ words: String) {
    let model = Fixture.model([Fixture.backend(1), backend, Fixture.backend(2)])
    let lines = model.lines(of: RenderTests.backendHeader)
    #expect(lines.count == 2 && lines[0].contains("i-1") && lines[1].contains("i-2"))
    #expect(model.problems.count == 1 && model.problems[0].severity == .skipped)
    #expect(model.problems.first?.description.contains(words) == true, "\(model.problems)")
    #expect(model.problems.first?.description.contains("\n") == false)
  }

  @Test("a shuffle depends on seed and names only") func shuffle() {
    func order(_ numbers: [Int], seed: String) -> [String] {
      var settings = Fixture.settings
      settings.serverOrderSeed = seed
      let service = Fixture.service { $0.backendOrder = .shuffle }
      return Fixture.model(numbers.map(Fixture.backend), settings: settings, service: service)
        .lines(of: RenderTests.backendHeader).map { String($0.split(separator: " ")[1]) }
    }
    let seed = "159438512349852345918273645019283746501"
    let all = order(Array(1...20), seed: seed)
    #expect(all == order((1...20).reversed(), seed: seed))
    #expect(all != all.sorted() && all != order(Array(1...20), seed: "7"))
    let fewer = Set([3, 8].map { Fixture.backend($0).serverName })
    #expect(order((1...20).filter { $0 != 3 && $0 != 8 }, seed: seed) == all.filter { !fewer.contains($0) })
  }

  @Test("no_shuffle keeps the registry's order") func registryOrder() {
    let service = Fixture.service { $0.backendOrder = ServerOrder(configured: "no_shuffle") }
    let lines = Fixture.model([3, 1, 2].map(Fixture.backend), service: service).lines(of: RenderTests.backendHeader)
    #expect(lines.map { String($0.dropFirst(7).prefix(3)) } == ["i-3", "i-1", "i-2"])
  }

  @Test("a server registered twice has the newer registration's line, at its place") func twice() {
    var older = Fixture.backend(1)
    var newer = older
    (older.id, older.haproxyServerOptions) = (5, "backup")
    newer.id = 9
    for backends in [[older, newer], [newer, older]] {
      let lines = Fixture.model(backends).lines(of: RenderTests.backendHeader)
      #expect(lines == ["server i-1_10.0.0.1:8001 10.0.0.1:8001 id 1 check inter 2s rise 3 fall 2"])
    }
  }

  @Test("servers that left stay disabled while they are remembered, with a state file only") func gone() {
    for keeps in [false, true] {
      var settings = Fixture.settings
      settings.keepsGoneServers = keeps
      settings.stateFileTTL = 100
      let service = Fixture.service { $0.serverOptions = "check # note" }
      var model = Fixture.model([Fixture.backend(1), Fixture.backend(2)], settings: settings, service: service)
      model.apply(ServiceSnapshot(service: "web.main", backends: [Fixture.backend(2)]), now: Fixture.now)
      let gone = "server i-1_10.0.0.1:8001 10.0.0.1:8001 id 1 check disabled # note"
      #expect(model.lines(of: RenderTests.backendHeader).contains(gone) == keeps)
      #expect(model.expire(now: Fixture.now + 101) == keeps)
      #expect(model.lines(of: RenderTests.backendHeader).count == 1)
    }
  }

  @Test(
    "difference 10: weights at both levels",
    arguments: [
      (false, nil, "check weight 10 backup weight 50"), (true, nil, "check backup weight 7"),
      (false, true, "check backup weight 7"), (true, false, "check weight 10 backup weight 50"),
    ] as [(Bool, Bool?, String)])
  func weights(_ top: Bool, _ own: Bool?, _ options: String) {
    var settings = Fixture.settings
    settings.usesNerveWeights = top
    let service = Fixture.service {
      $0.serverOptions = "check weight 10"
      $0.usesNerveWeights = own
    }
    var backend = Fixture.backend(1)
    backend.weight = 7
    backend.haproxyServerOptions = "backup weight 50"
    let lines = Fixture.model([backend], settings: settings, service: service).lines(of: RenderTests.backendHeader)
    #expect(lines == ["server i-1_10.0.0.1:8001 10.0.0.1:8001 id 1 \(options)"])
    backend.weight = 4000
    let heavy = Fixture.model([backend], settings: settings, service: service).lines(of: RenderTests.backendHeader)
    #expect(heavy[0].hasSuffix("weight 256") == options.hasSuffix("weight 7"))
  }

  @Test(
    "a service with bad settings is skipped and named, the others are served",
    arguments: [
      (Fixture.service("bad") { $0.serverOptions = "check %{zone}" }, "%{zone}"),
      (Fixture.service("bad") { $0.serverOptions = "check\nbackend x" }, "control characters"),
      (Fixture.service("bad") { $0.serverOptions = "check id 5" }, "the same id"),
      (Fixture.service("bad") { $0.backendName = "a b" }, "backend_name"),
      (Fixture.service("bad name"), "its name"),
      (Fixture.service("bad") { $0.port = .number("80 ssl") }, "is not a port"),
      (Fixture.service("bad") { $0.bindAddress = "127.0.0.1\n" }, "bind_address"),
      (Fixture.service("bad") { $0.backendName = "web.main" }, "cannot share"),
      (Fixture.service("bad") { $0.backendName = "stats" }, "there already"),
      (Fixture.service("stats") { $0.backendName = "other" }, "there already"),
    ])
  func badService(_ service: ServiceSettings, _ words: String) {
    var settings = Fixture.settings
    settings.extraSections = [ExtraSection(title: "listen  stats", lines: ["bind 127.0.0.1:1"])]
    var model = ProxyModel(settings: settings, services: [Fixture.service(), service], memory: ServerMemory())
    model.apply(ServiceSnapshot(service: service.service, backends: [Fixture.backend(1)]), now: Fixture.now)
    #expect(model.problems.map(\.severity) == [.badService])
    #expect(model.problems.first?.message.contains(words) == true, "\(model.problems)")
    #expect(!model.render().text.contains("i-1") && model.render().text.contains("backend web.main"))
  }

  @Test("every line knows where it came from") func origins() throws {
    var settings = Fixture.settings
    settings.extraSections = [ExtraSection(title: "listen stats", lines: ["bind 127.0.0.1:1", "# note"])]
    settings.sharedFrontend = ["bind 127.0.0.1:2"]
    let service = Fixture.service {
      $0.frontend = ["timeout client 1s\nmaxconn 9", "", "# note"]
      $0.backend = ["fullconn 5"]
      $0.listen = ["mode http"]
      $0.sharedFrontend = ["use_backend web.main"]
    }
    let model = Fixture.model([Fixture.backend(1), Fixture.backend(2)], settings: settings, service: service)
    let file = model.render()
    let lines = file.text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    var origins: [String: String] = [:]
    for (index, line) in lines.enumerated() {
      let origin = try #require(file.origin(ofLine: index + 1), "line \(index + 1)")
      if index > 0, !line.isEmpty { #expect(file.content(ofLine: index + 1) == line.trimmedBlanks) }
      origins[line.trimmedBlanks] = origin.description
    }
    #expect(file.origin(ofLine: lines.count + 1) == nil && file.origin(ofLine: 0) == nil)
    #expect(origins["maxconn 4096"] == "haproxy.global[1]")
    #expect(origins["balance roundrobin"] == "haproxy.defaults[4]")
    #expect(origins["bind 127.0.0.1:1"] == "haproxy.extra_sections.listen stats[0]")
    #expect(origins["maxconn 9"] == "services.web.main.haproxy.frontend[0]")
    #expect(origins["fullconn 5"] == "services.web.main.haproxy.backend[0]")
    #expect(origins["mode http"]?.hasPrefix("services.web.main.haproxy.listen") == true)
    #expect(origins["use_backend web.main"] == "services.web.main.haproxy.shared_frontend[0]")
    #expect(origins["bind 127.0.0.1:2"] == "haproxy.shared_frontend[0]")
    #expect(origins["default_backend web.main"] == "services.web.main.haproxy.frontend")
    let server = "server i-2_10.0.0.2:8002 10.0.0.2:8002 id 2 check inter 2s rise 3 fall 2"
    #expect(origins[server] == "services.web.main: server i-2_10.0.0.2:8002")
  }
}

import SmartStack
import Testing

@testable import HAProxyConfigGen

/// Difference 9 and what HAProxy itself has to say.
@Suite("lines and what becomes of them") struct RefusalTests {
  private static func texts(_ model: ProxyModel) -> [String] { model.problems.map(\.description) }

  @Test("lines in the wrong section and section headers are skipped, unknown ones are doubted") func listed() {
    let service = Fixture.service {
      $0.frontend = ["timeout server 1s", "bindx", "backend evil", "timeout client 1s", "x\u{1}y"]
      $0.listen = ["timeout client 2s", "timeout server 2s", "modeless", "listen evil"]
    }
    var model = Fixture.model([], service: service)
    let generated = ["bind localhost:3213", "default_backend web.main"]
    #expect(
      model.lines(of: "frontend web.main") == ["bindx", "timeout client 1s", "timeout client 2s", "modeless"]
        + generated)
    #expect(model.lines(of: "backend web.main") == ["timeout server 2s", "modeless"])
    #expect(model.problems.filter { $0.severity == .doubt }.count == 3)
    let leftOut = model.problems.filter { $0.severity == .skipped }.map(\.message)
    for words in ["`timeout server 1s` has no place in a frontend", "`backend evil` would start", "control characters"]
    {
      #expect(leftOut.contains { $0.contains(words) }, "\(words) in \(leftOut)")
    }
    var settings = Fixture.settings
    settings.keepsUnknownDirectives = false
    model = Fixture.model([], settings: settings, service: service)
    #expect(model.lines(of: "frontend web.main") == ["timeout client 1s", "timeout client 2s"] + generated)
    #expect(model.problems.allSatisfy { $0.severity == .skipped })
  }

  @Test("a refused line is skipped and named, the rest of the service is served") func refusedLine() throws {
    let service = Fixture.service {
      $0.backend = ["option forceclose", "fullconn 5", "idempotent", "reqidel ^X-Foo:.*"]
      $0.listen = ["modeless"]
    }
    var model = Fixture.model([Fixture.backend(1)], service: service)
    let (_, isAccepted) = try HAProxyTool.settle(&model)
    #expect(isAccepted)
    #expect(model.lines(of: "backend web.main").count == 2 && model.lines(of: "backend web.main")[0] == "fullconn 5")
    for words in ["backend[0]: HAProxy refuses `option forceclose`", "`idempotent`", "backend[3]", "listen[0]"] {
      #expect(RefusalTests.texts(model).contains { $0.contains(words) }, "\(words) in \(RefusalTests.texts(model))")
    }
  }

  @Test("a server that HAProxy refuses is skipped until its options change")
  func refusedServer() throws {
    var bad = Fixture.backend(2)
    bad.haproxyServerOptions = "resolvers nosuch"
    var model = Fixture.model([Fixture.backend(1), bad])
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(model.lines(of: "backend web.main").count == 1)
    #expect(RefusalTests.texts(model).contains { $0.contains("server i-2_10.0.0.2:8002: HAProxy refuses") })
    // The same again is refused without asking.
    model.apply(ServiceSnapshot(service: "web.main", backends: [bad]), now: Fixture.now)
    #expect(model.lines(of: "backend web.main").isEmpty)
    bad.haproxyServerOptions = "maxconn 5"
    model.apply(ServiceSnapshot(service: "web.main", backends: [bad]), now: Fixture.now)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(model.lines(of: "backend web.main").count == 1)
  }

  @Test("a complaint without a line names a missing backend or missing resolvers") func withoutLine() throws {
    let service = Fixture.service {
      $0.frontend = ["use_backend nosuch if TRUE", "maxconn 7"]
      $0.serverOptions = "check"
    }
    var odd = Fixture.backend(1)
    odd.haproxyServerOptions = "resolvers nosuch"
    var model = Fixture.model([odd, Fixture.backend(2)], service: service)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(model.lines(of: "frontend web.main") == ["maxconn 7", "bind localhost:3213", "default_backend web.main"])
    #expect(model.lines(of: "backend web.main").map { $0.contains("i-2") } == [true])
  }

  @Test("a line the generator adds takes the service with it, until its settings change") func generated() throws {
    let service = Fixture.service { $0.bindOptions = "nonsense" }
    var model = ProxyModel(
      settings: Fixture.settings, services: [service, Fixture.service("good") { $0.port = .number("3214") }],
      memory: ServerMemory())
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(!model.render().text.contains("web.main") && model.render().text.contains("backend good"))
    #expect(model.problems.map(\.severity) == [.badService])
    model.replace(Fixture.service(), now: Fixture.now)
    #expect(model.problems.isEmpty && model.render().text.contains("backend web.main"))
  }

  @Test("of the operator's own sections only what HAProxy has no more is skipped") func ownSections() throws {
    var settings = Fixture.settings
    settings.defaults += ["option forceclose"]
    var model = Fixture.model([], settings: settings)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(
      RefusalTests.texts(model).contains { $0.contains("haproxy.defaults[5]: HAProxy refuses `option forceclose`") })
    settings.global += ["usr nobody"]
    model = Fixture.model([], settings: settings)
    #expect(try !HAProxyTool.settle(&model).isAccepted)
    settings.global = ["daemon"]
    settings.defaults = ["timout client 5s"]
    model = Fixture.model([], settings: settings)
    #expect(try !HAProxyTool.settle(&model).isAccepted)
  }

  @Test("an alert names its line, or its proxy and server") func alertsNameTheirPlace() {
    let output = """
      [NOTICE]   (9) : haproxy version is 2.6.12-1+deb12u4
      [WARNING]  (9) : config : parsing [/x/y.cfg:3] : something
      [ALERT]    (9) : config : parsing [/x/y.cfg:14] : unknown keyword 'bindx' in 'frontend' section
      [ALERT]    (9) : config : [/x/y.cfg:16] : 'server b/z2' : 'id' : custom id 3 already used at /x/y.cfg:15.
      [ALERT]    (9) : config : Parsing [/x/y.cfg:26]: backend 'same' has the same name as backend 'same'
      [ALERT]    (9) : config : Proxy 'f': unable to find required use_backend: 'nosuch'.
      [ALERT]    (9) : config : backend 'b', server 'y': unable to find required resolvers 'none'
      [ALERT]    (9) : config : Fatal errors found in configuration.
      """
    let alerts = CheckAlert.all(in: output, path: "/x/y.cfg")
    #expect(alerts.map(\.line) == [14, 16, 26, nil, nil])
    #expect(alerts[0].message == "unknown keyword 'bindx' in 'frontend' section")
    #expect(alerts[2].message == "backend 'same' has the same name as backend 'same'")
    let line = ConfigLine(text: "use_backend nosuch if x", origin: .service("f", .frontend, 0))
    #expect(alerts[3].proxy == "f" && alerts[3].isAboutMissingBackend(of: line))
    #expect(!alerts[4].isAboutMissingBackend(of: line))
    #expect(alerts[4].proxy == "b" && alerts[4].server == "y")
  }
}

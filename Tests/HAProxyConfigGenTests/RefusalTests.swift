import SmartStack
import Testing

@testable import HAProxyConfigGen

/// Difference 9 and what HAProxy itself has to say.
@Suite("lines and what becomes of them") struct RefusalTests {
  private static func texts(_ model: ProxyModel) -> [String] { model.problems.map(\.description) }

  @Test("lines in the wrong section and section headers are skipped, unknown ones are doubted") func listed() {
    let service = Fixture.service {
      $0.frontend = [
        "timeout server 1s", "bindx", "backend evil", "timeout client 1s", "x\u{1}y",
        "timeout client 9s\u{2028}bind :1",
      ]
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
    for words in [
      "`timeout server 1s` has no place in a frontend", "`backend evil` would start",
      "x\\u{1}y` has control characters",
      "9s\\u{2028}bind :1` has control characters",
    ] {
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
    model.replace(Fixture.service())
    #expect(model.problems.isEmpty && model.render().text.contains("backend web.main"))
  }

  @Test("a line of global or defaults goes alone, a section as a whole") func ownSections() throws {
    var settings = Fixture.settings
    settings.global += ["usr nobody", "nbproc 2"]
    settings.defaults += ["option forceclose", "timout client 5s"]
    settings.extraSections = [
      ExtraSection(title: "listen good", lines: ["bind :7001", "option forceclose"]),
      ExtraSection(title: "listen bad", lines: ["bind :7002", "http-reqest deny"]),
      ExtraSection(title: "listn bad", lines: ["bind :7003"]),
    ]
    var model = Fixture.model([Fixture.backend(1)], settings: settings)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    let texts = RefusalTests.texts(model)
    for words in [
      "haproxy.global[2]: HAProxy refuses `usr nobody`", "haproxy.global[3]: HAProxy refuses `nbproc 2`",
      "haproxy.defaults[5]: HAProxy refuses `option forceclose`", "haproxy.defaults[6]", "listen good[1]",
      "haproxy.extra_sections.listen bad[1]: skipped, as HAProxy refuses it", "haproxy.extra_sections.listn bad",
    ] {
      #expect(texts.contains { $0.contains(words) }, "\(words) in \(texts)")
    }
    #expect(texts.count == 7, "\(texts)")
    let text = model.render().text
    #expect(text.contains("listen good") && !text.contains("bad") && text.contains("backend web.main"))
  }

  @Test("what limits HAProxy itself is never skipped") func ownProtection() throws {
    var settings = Fixture.settings
    settings.global += ["user nosuchuser"]
    var model = Fixture.model([Fixture.backend(1)], settings: settings)
    #expect(try !HAProxyTool.settle(&model).isAccepted)
  }

  @Test("a refused line that keeps requests away costs its service, or its lines in the shared frontend")
  func protection() throws {
    var settings = Fixture.settings
    settings.sharedFrontend = ["bind :7000"]
    let bad = Fixture.service("bad") { $0.frontend = ["acl admin src -f /nowhere", "http-request deny if !admin"] }
    let shared = Fixture.service("shared") {
      $0.port = .number("7001")
      $0.sharedFrontend = ["http-request deny if nosuch", "use_backend shared if TRUE"]
    }
    let services = [bad, shared, Fixture.service { $0.port = .number("7002") }]
    var model = ProxyModel(settings: settings, services: services, memory: ServerMemory())
    #expect(try HAProxyTool.settle(&model).isAccepted)
    let text = model.render().text
    #expect(!text.contains("frontend bad") && text.contains("frontend web.main") && text.contains("frontend shared\n"))
    #expect(!text.contains("use_backend shared"))
    #expect(
      model.problems.filter { $0.severity == .badService }.map(\.origin.description) == [
        "services.bad.haproxy.frontend[1]", "services.shared.haproxy.shared_frontend[0]",
      ])
  }

  @Test("a check loses all its lines, not one") func wholeCheck() throws {
    let service = Fixture.service {
      $0.backend = ["option httpchk", "http-check send meth GET uri / hdr X-Env \"\"", "fullconn 5"]
      $0.listen = ["http-check expect status 200"]
    }
    var model = Fixture.model([Fixture.backend(1)], service: service)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    let lines = model.lines(of: "backend web.main")
    #expect(lines.count == 2 && lines[0] == "fullconn 5" && lines[1].hasPrefix("server i-1"), "\(lines)")
    #expect(model.problems.map(\.severity) == [.skipped, .skipped, .skipped])
  }

  @Test("a service whose own server_options are refused is skipped and named once") func serverOptions() throws {
    let service = Fixture.service { $0.serverOptions = "check frobnicate" }
    var model = Fixture.model([Fixture.backend(1), Fixture.backend(2)], service: service)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(model.problems.map(\.origin.description) == ["services.web.main.haproxy.server_options"])
    #expect(!model.render().text.contains("web.main"))
  }

  @Test("a section or shared line that uses a missing backend is skipped until that is there") func missingBackend()
    throws
  {
    var settings = Fixture.settings
    settings.sharedFrontend = ["bind :7000"]
    settings.extraSections = [ExtraSection(title: "frontend x", lines: ["bind :7001", "default_backend b"])]
    var squatter = Fixture.service("b") { $0.port = .number("7002") }
    squatter.bindOptions = "nonsense"
    let user = Fixture.service("user") {
      $0.port = .number("7003")
      $0.sharedFrontend = ["use_backend b if TRUE", "use_backend user if TRUE"]
    }
    var model = ProxyModel(settings: settings, services: [squatter, user], memory: ServerMemory())
    let whole = Set(["frontend x", "use_backend b if TRUE"])
    #expect(try HAProxyTool.settle(&model).isAccepted)
    var text = model.render().text
    #expect(whole.allSatisfy { !text.contains($0) } && text.contains("use_backend user if TRUE"))
    #expect(RefusalTests.texts(model).count == 3)
    squatter.bindOptions = nil
    model.replace(squatter)
    text = model.render().text
    #expect(whole.allSatisfy { text.contains($0) } && model.problems.isEmpty)
  }

  @Test("a line that names a server is tried again when that server is there") func missingServer() throws {
    let service = Fixture.service { $0.backend = ["use-server i-2_10.0.0.2:8002 if TRUE"] }
    var model = Fixture.model([Fixture.backend(1)], service: service)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(model.lines(of: "backend web.main").count == 1)
    model.apply(
      ServiceSnapshot(service: "web.main", backends: [Fixture.backend(1), Fixture.backend(2)]), now: Fixture.now)
    #expect(model.lines(of: "backend web.main").count == 3 && model.problems.isEmpty)
  }

  @Test("what HAProxy refused is checked again as a whole, and the outcome is taken over") func again() throws {
    let service = Fixture.service { $0.backend = ["frobnicate", "fullconn 5"] }
    var model = Fixture.model([Fixture.backend(1)], service: service)
    #expect(try HAProxyTool.settle(&model).isAccepted && !model.refusedTexts.isEmpty)
    let settled = model.render().text
    let again = model.withoutRefusals()
    #expect(again.refusedTexts.isEmpty && again.render().text.contains("frobnicate"))
    var isChanged = model.adoptRefusals(of: model)
    #expect(!isChanged && model.render().text == settled)
    isChanged = model.adoptRefusals(of: again)
    #expect(isChanged && model.render().text == again.render().text)
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
      [ALERT]    (9) : config : parsing [/x/y.cfg:-2] : no line of a file
      [ALERT]    (9) : config : Fatal errors found in configuration.
      """
    let alerts = CheckAlert.all(in: output, path: "/x/y.cfg")
    #expect(alerts.map(\.line) == [14, 16, 26, nil, nil])
    #expect(alerts[0].message == "unknown keyword 'bindx' in 'frontend' section")
    #expect(alerts[2].message == "backend 'same' has the same name as backend 'same'")
    let line = ConfigLine(text: "use_backend nosuch if x", origin: .service("f", .frontend, 0))
    #expect(alerts[3].proxy == "f" && alerts[3].isAboutMissingName(in: line))
    #expect(!alerts[4].isAboutMissingName(in: line))
    #expect(alerts[4].proxy == "b" && alerts[4].server == "y")
  }
}

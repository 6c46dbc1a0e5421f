import Testing

@testable import HAProxyConfigGen

/// Who listens where, and what becomes of two that want one address.
@Suite("addresses") struct AddressTests {
  /// `bind` lines, and whether the kernel would refuse the second one.
  private static let pairs: [(String, String, Bool)] = [
    (":80", "*:80", true), (":80", "0.0.0.0:80", true), (":80", "127.0.0.1:80", true), (":80", "127.0.0.1:81", false),
    ("127.0.0.1:80", "127.0.0.2:80", false), ("127.0.0.1:80", "127.0.0.1:80", true),
    ("127.0.0.1:80-90", "127.0.0.1:85", true), ("127.0.0.1:80-90", ":90-99", true), (":80-84", ":85", false),
    (":::80", "127.0.0.1:80", true), (":::80 v6only", "127.0.0.1:80", false), ("[::]:80", ":80", true),
    ("[::]:80 v6only", "*:80", false), ("ipv6@:80", "::1:80", true), ("ipv6@*:80 v6only", "[::1]:80", true),
    ("::ffff:127.0.0.1:80", "127.0.0.1:80", true), ("fe80::1:80", "[fe80::1]:80", true), ("::1:80", ":80", false),
    ("localhost:80", "127.0.0.1:80", true), ("localhost:80", "LOCALHOST:80", true), ("localhost:80", ":80", true),
    ("localhost:80", "10.0.0.1:80", false), ("web.example:80", "web.example:80", true),
    ("127.0.0.1:81,127.0.0.1:80", "127.0.0.1:80", true), ("127.0.0.1:81, 127.0.0.1:80 ssl crt x", "127.0.0.1:80", true),
    ("/run/a.sock", "unix@/run/a.sock mode 600", true), ("/run/a.sock", "/run/b.sock", false),
    ("abns@x", "abns@x", true),
    ("127.0.0.1:80 interface eth0", "127.0.0.1:80 interface eth1", false),
    ("127.0.0.1:80 interface eth0", "127.0.0.1:80", true), (":80 namespace x", ":80", false),
    ("quic4@:443", ":443", false), ("ipv4@10.0.0.1:80", "10.0.0.1:80 # comment", true),
    ("\"127.0.0.1:80\"", ":80", true),
    ("\"${IP}:80\"", "127.0.0.1:80", false), ("nonsense", "nonsense", false), (":x", ":x", false),
  ]

  @Test("two addresses overlap as they do in the kernel", arguments: pairs)
  func overlap(_ first: String, _ second: String, _ expected: Bool) {
    let (a, b) = (ListenAddress.all(inBind: first), ListenAddress.all(inBind: second))
    #expect(a.contains { one in b.contains { one.overlaps($0) && $0.overlaps(one) } } == expected)
  }

  private static func model(_ services: [ServiceSettings], _ change: (inout GeneratorSettings) -> Void = { _ in })
    -> ProxyModel
  {
    var settings = Fixture.settings
    change(&settings)
    return ProxyModel(settings: settings, services: services, memory: ServerMemory())
  }

  private static func service(_ name: String, _ port: String, _ change: (inout ServiceSettings) -> Void = { _ in })
    -> ServiceSettings
  {
    Fixture.service(name) {
      $0.port = .number(port)
      change(&$0)
    }
  }

  private func skipped(_ model: ProxyModel) -> [String] {
    model.problems.filter { $0.severity == .badService }.map(\.origin.description)
  }

  @Test("of two services on one port the first by name is served, the other one is skipped and named") func samePort() {
    let model = AddressTests.model([AddressTests.service("second", "3214"), AddressTests.service("first", "3214")])
    #expect(
      model.problems.map(\.description) == [
        "services.second.haproxy.port: localhost:3214 is taken by services.first.haproxy.port (localhost:3214); it is "
          + "skipped until one of the two has another address or port"
      ])
    #expect(!model.render().text.contains("second"))
  }

  @Test("who has the port keeps it") func activeFirst() {
    let services = [AddressTests.service("first", "3214"), AddressTests.service("second", "3214")]
    var model = AddressTests.model(services)
    model.recordListening(AddressClaim.listening(in: "frontend second\n\tmode http\n\tbind localhost:3214\n"))
    #expect(skipped(model) == ["services.first.haproxy.port"])
    var next = AddressTests.model(services)
    next.recordListening(model.listening)
    #expect(skipped(next) == ["services.first.haproxy.port"])
  }

  @Test("a service does not get the port of the statistics page, the status port or a line of another section")
  func otherSections() {
    func skipped(_ port: String, _ change: (inout GeneratorSettings) -> Void) -> [String] {
      self.skipped(AddressTests.model([AddressTests.service("a", port), AddressTests.service("b", "9999")], change))
    }
    let a = ["services.a.haproxy.port"]
    #expect(skipped("3212") { $0.extraSections = [ExtraSection(title: "listen stats", lines: ["bind :3212"])] } == a)
    #expect(skipped("3212") { $0.extraSections = [ExtraSection(title: "listen stats :3212", lines: [])] } == a)
    #expect(skipped("3214") { $0.reservedAddresses = ["status_port": "127.0.0.1:3214"] } == a)
    #expect(skipped("3215") { $0.global = ["stats socket ipv4@127.0.0.1:3215 level admin"] } == a)
    #expect(skipped("3216") { $0.sharedFrontend = ["bind *:3216"] } == a)
  }

  @Test("a section that wants a service's port is skipped while the service has it") func sectionAfterService() {
    var model = AddressTests.model([AddressTests.service("b", "3213")]) {
      $0.extraSections = [ExtraSection(title: "listen x", lines: ["bind localhost:3213"])]
    }
    model.recordListening(["frontend b": Set(ListenAddress.all(inBind: "localhost:3213"))])
    #expect(skipped(model) == ["haproxy.extra_sections.listen x[0]"])
    #expect(model.render().text.contains("frontend b") && !model.render().text.contains("listen x"))
  }

  @Test("what the registry says never takes another's address, whoever has it now") func registry() {
    let squatter = AddressTests.service("a", "3214") { $0.isFromRegistry = true }
    var model = AddressTests.model([squatter, AddressTests.service("b", "3214")])
    model.recordListening(["frontend a": Set(ListenAddress.all(inBind: "localhost:3214"))])
    #expect(skipped(model) == ["services.a.haproxy.port"])
  }

  @Test("lines, Unix sockets and ranges count; two lines of one service do not collide") func lines() {
    let own = AddressTests.service("a", "80") {
      $0.bindAddress = "127.0.0.1"
      $0.frontend = ["bind :80-82", "bind /run/a.sock"]
    }
    let model = AddressTests.model([
      own, AddressTests.service("b", "81"), Fixture.service("c") { ($0.port, $0.bindAddress) = (.none, "/run/a.sock") },
      AddressTests.service("d", "80") { $0.isDisabled = true }, Fixture.service("e") { $0.port = .omitted },
    ])
    #expect(skipped(model) == ["services.b.haproxy.port", "services.c.haproxy.port"])
  }

  @Test("an address that cannot be had skips its service or section until it can") func unbindable() {
    var model = AddressTests.model([AddressTests.service("a", "1"), AddressTests.service("b", "2")]) {
      $0.extraSections = [ExtraSection(title: "listen x", lines: ["bind :3"])]
    }
    let whole = model.render().text
    let (b, x) = (LineOrigin.service("b", .section, nil), LineOrigin.extra(title: "listen x", nil))
    #expect(model.claims.map(\.unit) == [x, .service("a", .section, nil), b])
    var isChanged = model.setUnbindable([b: "localhost:2: Address in use", x: ":3: Address in use"])
    #expect(isChanged)
    #expect(skipped(model) == ["haproxy.extra_sections.listen x", "services.b.haproxy"])
    #expect(!model.render().text.contains("listen x") && !model.render().text.contains("frontend b"))
    #expect(model.claims.count == 3 && model.listening.keys.sorted() == ["frontend a"])
    isChanged = model.setUnbindable([b: "localhost:2: Address in use", x: ":3: Address in use"])
    #expect(!isChanged)
    isChanged = model.setUnbindable([:])
    #expect(isChanged)
    #expect(model.render().text == whole && model.problems.isEmpty)
  }

  @Test("an address behind a section's name becomes its bind line") func addressInTitle() throws {
    var model = AddressTests.model([]) {
      $0.extraSections = [
        ExtraSection(title: "listen stats :3212", lines: ["mode http", "stats enable"]),
        ExtraSection(title: "frontend other 127.0.0.1:3213", lines: ["mode tcp"]),
      ]
    }
    #expect(model.lines(of: "listen stats") == ["bind :3212", "mode http", "stats enable"])
    #expect(model.lines(of: "frontend other") == ["bind 127.0.0.1:3213", "mode tcp"])
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(model.problems.isEmpty)
  }

  @Test("a userlist shares no names with services") func names() {
    let model = AddressTests.model([AddressTests.service("web", "1"), AddressTests.service("peer", "2")]) {
      $0.extraSections = [
        ExtraSection(title: "userlist web", lines: []), ExtraSection(title: "cache peer", lines: ["total-max-size 4"]),
      ]
    }
    #expect(model.problems.isEmpty)
  }
}

import SmartStack
import Testing

@testable import HAProxyConfigGen

@Suite("plans") struct PlannerTests {
  /// A process that has loaded `model`'s file.
  static func running(_ model: ProxyModel, version: HAProxyVersion = HAProxyVersion(2, 6, 12)) -> RunningProxy {
    var proxy = RunningProxy(version: version, backends: ["stats": ["own": server(1)]])
    for backend in model.backends {
      var servers: [String: RunningServer] = [:]
      for (index, wanted) in backend.section.servers.enumerated() {
        servers[wanted.name] = RunningServer(
          id: wanted.id ?? index + 1000, address: wanted.host, port: wanted.port, weight: wanted.weight ?? 1,
          adminState: wanted.isEnabled ? [] : [.forcedMaintenance, .configuredMaintenance],
          checkState: [.configured, .enabled])
      }
      proxy.backends[backend.name] = servers
    }
    return proxy
  }

  static func server(_ id: Int) -> RunningServer { RunningServer(id: id, address: "127.0.0.1", port: 1) }

  /// The plan for a process that runs `before` when `after` is wanted, in words.
  static func plan(
    _ before: ProxyModel, _ after: ProxyModel, version: HAProxyVersion = HAProxyVersion(2, 6, 12),
    _ change: (inout RunningProxy) -> Void = { _ in }
  ) -> [String] {
    var proxy = running(before, version: version)
    change(&proxy)
    return words(Planner.plan(running: proxy, loaded: LoadedConfiguration(before), wanted: after))
  }

  static func words(_ plan: Plan) -> [String] {
    (plan.reloadReasons.isEmpty ? [] : ["reload: " + plan.reloadReasons.map(\.description).joined(separator: "; ")])
      + plan.commands.map(\.text)
  }

  static func model(_ numbers: [Int], _ change: (inout GeneratorSettings, inout ServiceSettings) -> Void = { _, _ in })
    -> ProxyModel
  {
    var settings = Fixture.settings
    var service = Fixture.service()
    change(&settings, &service)
    return Fixture.model(numbers.map(Fixture.backend), settings: settings, service: service)
  }

  private static let add3 = [
    "add server web.main/i-3_10.0.0.3:8003 10.0.0.3:8003 id 3 check inter 2s rise 3 fall 2",
    "enable health web.main/i-3_10.0.0.3:8003", "set server web.main/i-3_10.0.0.3:8003 state ready",
  ]

  @Test("servers in sync need no command, and foreign sections are not touched") func nothing() {
    #expect(PlannerTests.plan(PlannerTests.model([1, 2]), PlannerTests.model([1, 2])) == [])
  }

  @Test("servers are added before others are removed") func comeAndGo() {
    var after = PlannerTests.model([1, 2])
    after.apply(ServiceSnapshot(service: "web.main", backends: [2, 3].map(Fixture.backend)), now: Fixture.now)
    let maintenance = "set server web.main/i-1_10.0.0.1:8001 state maint"
    #expect(PlannerTests.plan(PlannerTests.model([1, 2]), after) == PlannerTests.add3 + [maintenance])
  }

  @Test("a server in maintenance comes back by one command, and by its checks where they rest") func comeBack() {
    let model = PlannerTests.model([1])
    let name = "i-1_10.0.0.1:8001"
    let ready = "set server web.main/\(name) state ready"
    for state in [AdminState.forcedMaintenance, [.forcedMaintenance, .configuredMaintenance], .forcedDrain] {
      let commands = PlannerTests.plan(model, model) { $0.backends["web.main"]?[name]?.adminState = state }
      #expect(commands == [ready])
    }
    let commands = PlannerTests.plan(model, model) {
      $0.backends["web.main"]?[name]?.adminState = .forcedMaintenance
      $0.backends["web.main"]?[name]?.checkState = .configured
    }
    #expect(commands == ["enable health web.main/\(name)", ready])
    for state in [AdminState.configuredMaintenance, .inheritedMaintenance, .inheritedDrain, .unresolved] {
      #expect(PlannerTests.plan(model, model) { $0.backends["web.main"]?[name]?.adminState = state } == [])
    }
  }

  @Test("weight and address are set when they differ") func weightAndAddress() {
    let model = PlannerTests.model([1]) { $1.serverOptions = "check weight 20" }
    let name = "i-1_10.0.0.1:8001"
    let commands = PlannerTests.plan(model, model) {
      $0.backends["web.main"]?[name]?.weight = 1
      $0.backends["web.main"]?[name]?.address = "10.0.0.7"
    }
    #expect(
      commands == [
        "set server web.main/\(name) addr 10.0.0.1 port 8001", "set server web.main/\(name) weight 20",
      ])
  }

  @Test("a changed weight is a command, not a reload") func weight() {
    func model(_ weight: Int?) -> ProxyModel {
      var settings = Fixture.settings
      settings.usesNerveWeights = true
      var backend = Fixture.backend(1)
      backend.weight = weight
      return Fixture.model([backend], settings: settings)
    }
    #expect(PlannerTests.plan(model(5), model(6)) == ["set server web.main/i-1_10.0.0.1:8001 weight 6"])
    #expect(PlannerTests.plan(model(5), model(nil)) == ["set server web.main/i-1_10.0.0.1:8001 weight 1"])
    #expect(PlannerTests.plan(model(5), model(5)) == [])
  }

  @Test("default-server lines weigh too, and agents weigh themselves") func defaultWeight() {
    let heavy = PlannerTests.model([1]) { settings, _ in settings.defaults.append("default-server weight 30") }
    #expect(
      PlannerTests.plan(heavy, heavy) { $0.backends["web.main"]?["i-1_10.0.0.1:8001"]?.weight = 1 }.count == 1)
    let agent = PlannerTests.model([1]) { $1.serverOptions = "check agent-check agent-port 9" }
    #expect(
      PlannerTests.plan(agent, agent) { $0.backends["web.main"]?["i-1_10.0.0.1:8001"]?.weight = 77 } == [])
  }

  @Test("add server writes out what default-server lines say") func inheritance() {
    func model(_ numbers: [Int]) -> ProxyModel {
      PlannerTests.model(numbers) { settings, service in
        settings.defaults.append("default-server inter 10m fastinter 30s rise 1 fall 9 no-backup check")
        service.backend = ["default-server fall 2 on-error fastinter"]
        service.serverOptions = "port 6666 rise 7"
      }
    }
    #expect(
      PlannerTests.plan(model([]), model([1])) == [
        "add server web.main/i-1_10.0.0.1:8001 10.0.0.1:8001 id 1 inter 10m fastinter 30s check fall 2 on-error fastinter port 6666 rise 7",
        "enable health web.main/i-1_10.0.0.1:8001", "set server web.main/i-1_10.0.0.1:8001 state ready",
      ])
  }

  @Test("of several defaults the last one counts") func namedDefaults() {
    func model(_ numbers: [Int]) -> ProxyModel {
      PlannerTests.model(numbers) { settings, service in
        settings.defaults.append("default-server inter 10m")
        settings.extraSections = [
          ExtraSection(title: "defaults", lines: ["balance static-rr", "default-server rise 9"])
        ]
        service.serverOptions = "check"
      }
    }
    #expect(PlannerTests.plan(model([]), model([1])).first?.contains("balance static-rr") == true)
  }

  @Test("what init-addr says of names does not keep a server from being added") func initialAddress() {
    func model(_ numbers: [Int]) -> ProxyModel {
      PlannerTests.model(numbers) { $1.backend = ["default-server init-addr last,libc,none"] }
    }
    let plan = PlannerTests.plan(model([1]), model([1, 3]))
    #expect(plan.contains { $0.hasPrefix("add server") } && !plan.contains { $0.contains("reload") }, "\(plan)")
  }

  @Test("a template has the servers with its numbers, not those whose names begin alike") func template() {
    let traits = BackendTraits([[ConfigLine(text: "server-template h 3 10.0.0.1:1", origin: .fixed)]])
    #expect(traits.isForeign("h1") && traits.isForeign("h12"))
    #expect(!traits.isForeign("host_10.0.0.1:80") && !traits.isForeign("h") && !traits.isForeign("h-1"))
  }

  @Test(
    "what no command can do is a reload with its reason",
    arguments: [
      ("cookie", "cannot be given", ["cookie SRV insert"], "check", HAProxyVersion(2, 6, 12)),
      ("a name's resolver", "cannot be given", [], "check resolvers dns", HAProxyVersion(2, 6, 12)),
      ("an option we do not know", "`shiny`", [], "check shiny", HAProxyVersion(2, 6, 12)),
      ("static-rr", "balance static-rr takes", ["balance static-rr"], "check", HAProxyVersion(2, 6, 12)),
      ("source", "balance source takes", ["balance source"], "check", HAProxyVersion(2, 6, 12)),
      ("uri", "balance uri whole takes", ["balance uri whole"], "check", HAProxyVersion(2, 6, 12)),
      ("quotes", "cannot be given as a command", [], "check sni \"str(x)\"", HAProxyVersion(2, 6, 12)),
      ("an old HAProxy", "HAProxy 2.4.8 cannot", [], "check", HAProxyVersion(2, 4, 8)),
    ])
  func reload(_ name: String, _ words: String, _ backend: [String], _ options: String, _ version: HAProxyVersion) {
    func model(_ numbers: [Int]) -> ProxyModel {
      PlannerTests.model(numbers) {
        $1.backend = backend
        $1.serverOptions = options
      }
    }
    let plan = PlannerTests.plan(model([1]), model([1, 3]), version: version)
    #expect(
      plan.count == 1 && plan[0].hasPrefix("reload: server web.main/i-3_10.0.0.3:8003") && plan[0].contains(words))
    // Going needs no more than any version has.
    #expect(
      PlannerTests.plan(model([1]), model([]), version: version) == [
        "set server web.main/i-1_10.0.0.1:8001 state maint"
      ])
  }

  @Test("consistent hashing, leastconn and cookies on 3.0 take commands")
  func dynamic() {
    for lines in [
      ["balance source", "hash-type consistent"], ["balance leastconn"], ["balance random(2)"], ["balance first"],
    ] {
      func model(_ numbers: [Int]) -> ProxyModel { PlannerTests.model(numbers) { $1.backend = lines } }
      #expect(PlannerTests.plan(model([1]), model([1, 3])).count == 3)
    }
    func cookies(_ numbers: [Int]) -> ProxyModel { PlannerTests.model(numbers) { $1.backend = ["cookie SRV insert"] } }
    let plan = PlannerTests.plan(cookies([]), cookies([1]), version: HAProxyVersion(3, 0))
    #expect(plan.count == 3 && plan[0].contains(" cookie i-1_10.0.0.1:8001 "))
    func curves(_ numbers: [Int]) -> ProxyModel { PlannerTests.model(numbers) { $1.serverOptions = "curves P-256" } }
    #expect(PlannerTests.plan(curves([]), curves([1]), version: HAProxyVersion(3, 0)).count == 2)
    #expect(PlannerTests.plan(curves([]), curves([1]), version: HAProxyVersion(2, 8))[0].hasPrefix("reload: "))
  }

  @Test("HAProxy gets a server with a host name when its address is known, and follows the address by commands")
  func hostNames() {
    var named = Fixture.model([Fixture.backend(1), Backend(name: "n", host: "web.test", port: 80)])
    #expect(named.lines(of: "backend web.main").count == 1 && named.hostNames == ["web.test"])
    #expect(
      named.problems.map(\.description) == [
        "services.web.main: server n_web.test:80: skipped: the address of its host `web.test` is not known yet"
      ])
    #expect(named.recordLookUps(["web.test": .failure(OperatorError("no answer"))]) == ["web.main"])
    #expect(named.problems.map(\.description)[0].hasSuffix("is not known yet: no answer"))
    let without = named
    #expect(named.recordLookUps(["web.test": .success("10.0.0.9")]) == ["web.main"])
    #expect(named.problems.isEmpty)
    #expect(named.lines(of: "backend web.main").last?.hasPrefix("server n_web.test:80 10.0.0.9:80 ") == true)
    let arrival = PlannerTests.plan(without, named).first
    #expect(arrival?.hasPrefix("add server web.main/n_web.test:80 10.0.0.9:80 ") == true)
    // A failure, and the same again, leave the last address.
    #expect(named.recordLookUps(["web.test": .failure(OperatorError("no answer"))]).isEmpty)
    #expect(named.recordLookUps(["web.test": .success("10.0.0.9")]).isEmpty)
    let before = named
    #expect(named.recordLookUps(["web.test": .success("10.0.0.10")]) == ["web.main"])
    #expect(PlannerTests.plan(before, named) == ["set server web.main/n_web.test:80 addr 10.0.0.10 port 80"])
  }

  @Test("until its name is looked up, a server keeps the address that it runs with") func runningAddress() {
    let server = RunningServer(id: 4, address: "10.0.0.9", port: 80)
    var model = Fixture.model([])
    model.recordIDs(
      of: RunningProxy(version: HAProxyVersion(2, 6), backends: ["web.main": ["n_web.test:80": server]]))
    model.apply(
      ServiceSnapshot(service: "web.main", backends: [Backend(name: "n", host: "web.test", port: 80)]),
      now: Fixture.now)
    #expect(model.lines(of: "backend web.main").first?.hasPrefix("server n_web.test:80 10.0.0.9:80 id 4 ") == true)
  }

  @Test("where HAProxy deletes servers, other options are commands") func replacements() {
    let before = PlannerTests.model([1])
    let options = PlannerTests.model([1]) { $1.serverOptions = "check inter 5s" }
    #expect(
      PlannerTests.plan(before, options, version: HAProxyVersion(2, 6, 13)) == [
        "set server web.main/i-1_10.0.0.1:8001 state maint", "del server web.main/i-1_10.0.0.1:8001",
        "add server web.main/i-1_10.0.0.1:8001 10.0.0.1:8001 id 1 check inter 5s",
        "enable health web.main/i-1_10.0.0.1:8001", "set server web.main/i-1_10.0.0.1:8001 state ready",
      ])
    // An id that another server still has, and options that no command takes.
    let other = RunningServer(id: 1, address: "10.0.0.9", port: 1, adminState: .forcedMaintenance)
    let taken = PlannerTests.plan(before, options, version: HAProxyVersion(3, 0)) {
      $0.backends["web.main"]?["other"] = other
      $0.backends["web.main"]?["i-1_10.0.0.1:8001"]?.id = 2
    }
    #expect(taken[0].hasPrefix("reload: "))
    let resolvers = PlannerTests.model([1]) { $1.serverOptions = "check resolvers dns" }
    #expect(PlannerTests.plan(before, resolvers, version: HAProxyVersion(3, 0))[0].hasPrefix("reload: "))
  }

  @Test("the reasons of one service name it") func owners() {
    let before = PlannerTests.model([1])
    func services(_ after: ProxyModel) -> Set<String?> {
      let plan = Planner.plan(
        running: PlannerTests.running(before), loaded: LoadedConfiguration(before), wanted: after)
      return Set(plan.reloadReasons.map(\.service))
    }
    #expect(services(PlannerTests.model([1]) { $1.serverOptions = "check inter 5s" }) == ["web.main"])
    #expect(services(PlannerTests.model([1]) { $1.frontend = ["maxconn 9"] }) == ["web.main"])
    #expect(services(PlannerTests.model([1]) { settings, _ in settings.global += ["maxconn 9"] }) == [nil])
  }

  @Test("changed options, ids, lines and sections need a reload") func changes() {
    let before = PlannerTests.model([1])
    let options = PlannerTests.model([1]) { $1.serverOptions = "check inter 5s" }
    #expect(
      PlannerTests.plan(before, options) == ["reload: server web.main/i-1_10.0.0.1:8001: its options have changed"])
    #expect(
      PlannerTests.plan(before, before) { $0.backends["web.main"]?["i-1_10.0.0.1:8001"]?.id = 9 }
        == ["reload: server web.main/i-1_10.0.0.1:8001: its id has changed"])
    let lines = PlannerTests.model([1]) { $1.frontend = ["maxconn 9"] }
    #expect(PlannerTests.plan(before, lines) == ["reload: section `frontend web.main` has changed"])
    let more = PlannerTests.model([1]) { settings, _ in
      settings.extraSections = [ExtraSection(title: "backend x", lines: [])]
    }
    #expect(PlannerTests.plan(before, more) == ["reload: section `backend x` is new"])
    #expect(PlannerTests.plan(more, before) == ["reload: section `backend x` was removed"])
    let global = PlannerTests.model([1]) { settings, _ in settings.global.append("maxconn 5") }
    #expect(PlannerTests.plan(before, global) == ["reload: section `global` has changed"])
    let blanks = PlannerTests.model([1]) { settings, _ in settings.global = ["# note", "  daemon", "maxconn   4096"] }
    #expect(PlannerTests.plan(before, blanks) == [])
  }

  @Test("a server in an extra section is compared to the word") func foreignServer() {
    func model(_ weight: Int) -> ProxyModel {
      PlannerTests.model([1]) { settings, _ in
        settings.extraSections = [ExtraSection(title: "backend x", lines: ["server s 10.0.0.1:1 weight \(weight)"])]
      }
    }
    #expect(PlannerTests.plan(model(1), model(2)) == ["reload: section `backend x` has changed"])
  }

  @Test("servers of the backend's own lines are never touched") func ownServers() {
    func model(_ numbers: [Int]) -> ProxyModel {
      PlannerTests.model(numbers) {
        $1.backend = ["server standby 10.9.9.9:1 backup", "server-template t 3 10.8.8.8:1"]
      }
    }
    let plan = PlannerTests.plan(model([1]), model([1])) {
      for name in ["standby", "t1", "t2"] { $0.backends["web.main"]?[name] = PlannerTests.server(50) }
    }
    #expect(plan == [])
  }

  @Test("commands use backend_name") func backendName() {
    func model(_ numbers: [Int]) -> ProxyModel { PlannerTests.model(numbers) { $1.backendName = "renamed" } }
    #expect(PlannerTests.plan(model([1]), model([])) == ["set server renamed/i-1_10.0.0.1:8001 state maint"])
  }

  @Test("an unknown loaded file needs a reload, and commands for known names meanwhile") func unknown() {
    var proxy = PlannerTests.running(PlannerTests.model([1, 2]))
    proxy.backends["web.main"]?["i-2_10.0.0.2:8002"]?.adminState = .forcedMaintenance
    let plan = Planner.plan(running: proxy, loaded: nil, wanted: PlannerTests.model([2, 3]))
    #expect(
      PlannerTests.words(plan) == [
        "reload: it is not known which configuration HAProxy has loaded; server web.main/i-2_10.0.0.2:8002: its id has changed",
        "set server web.main/i-2_10.0.0.2:8002 state ready", "set server web.main/i-1_10.0.0.1:8001 state maint",
      ])
  }

  @Test("while a section waits for its reload, servers go but none is added to the old one") func meanwhile() {
    var after = PlannerTests.model([1, 2]) { $1.backend = ["fullconn 5"] }
    after.apply(ServiceSnapshot(service: "web.main", backends: [2, 3].map(Fixture.backend)), now: Fixture.now)
    #expect(
      PlannerTests.plan(PlannerTests.model([1, 2]), after) == [
        "reload: section `backend web.main` has changed", "set server web.main/i-1_10.0.0.1:8001 state maint",
      ])
  }

  @Test("an id that a departed server holds needs a reload, or its deletion") func idTaken() {
    let other = RunningServer(id: 3, address: "10.7.7.7", port: 1, adminState: .forcedMaintenance)
    let after = PlannerTests.model([1, 2, 3])
    func plan(_ version: HAProxyVersion) -> [String] {
      PlannerTests.plan(PlannerTests.model([1, 2]), after, version: version) {
        $0.backends["web.main"]?["old"] = other
      }
    }
    #expect(
      plan(HAProxyVersion(2, 6, 12)).first == "reload: server web.main/i-3_10.0.0.3:8003: its id still belongs to old")
    #expect(plan(HAProxyVersion(2, 6, 13)).prefix(2) == ["del server web.main/old", PlannerTests.add3[0]])
  }

  @Test("from 2.6.13 on, departed servers are deleted when they can be") func deleted() throws {
    let plan = Planner.plan(
      running: {
        var proxy = PlannerTests.running(PlannerTests.model([1]), version: HAProxyVersion(2, 6, 13))
        proxy.backends["web.main"]?["old"] = RunningServer(
          id: 9, address: "10.7.7.7", port: 1, adminState: .forcedMaintenance)
        return proxy
      }(), loaded: LoadedConfiguration(PlannerTests.model([1])), wanted: PlannerTests.model([1]))
    let commands = plan.commands
    try #require(plan.reloadReasons.isEmpty, "\(plan)")
    #expect(commands.map(\.text) == ["del server web.main/old"] && commands[0].isOptional)
    #expect(plan.hasDepartures)
    #expect(commands[0].accepts(reply: "Server deleted.\n") && !commands[0].accepts(reply: "Require 'maint'.\n"))
  }

  @Test("what an agent has put to rest stays so, and is set ready when we have") func agents() {
    let model = PlannerTests.model([1, 2])
    let (name, other) = ("i-1_10.0.0.1:8001", "i-2_10.0.0.2:8002")
    var before = PlannerTests.running(model)
    for server in [name, other] { before.backends["web.main"]?[server]?.agentState = [.configured, .enabled] }
    // The second one was put into maintenance by a command.
    before.backends["web.main"]?[other]?.adminState = .forcedMaintenance
    var now = before
    now.backends["web.main"]?[name]?.adminState = .forcedDrain
    now.recordAgents(since: before)
    let plan = Planner.plan(running: now, loaded: LoadedConfiguration(model), wanted: model)
    #expect(PlannerTests.words(plan) == ["set server web.main/\(other) state ready"])
    var later = now
    later.backends["web.main"]?[name]?.restsByAgent = false
    later.recordAgents(since: now)
    #expect(later.backends["web.main"]?[name]?.restsByAgent == true)
  }

  @Test("servers that left are remembered as loaded, so that their return needs no reload") func remembered() {
    var loaded = LoadedConfiguration(PlannerTests.model([1, 2]))
    loaded.update(to: PlannerTests.model([2]))
    var proxy = PlannerTests.running(PlannerTests.model([1, 2]))
    proxy.backends["web.main"]?["i-1_10.0.0.1:8001"]?.adminState = .forcedMaintenance
    let back = Planner.plan(running: proxy, loaded: loaded, wanted: PlannerTests.model([1, 2]))
    #expect(PlannerTests.words(back) == ["set server web.main/i-1_10.0.0.1:8001 state ready"])
    let changed = PlannerTests.model([1, 2]) { $1.serverOptions = "check inter 9s" }
    #expect(
      PlannerTests.words(Planner.plan(running: proxy, loaded: loaded, wanted: changed)).first?.hasPrefix("reload:")
        == true)
  }

  @Test("leftovers are counted, and forgotten when HAProxy has deleted them") func leftovers() {
    let (before, after) = (PlannerTests.model([1, 2]), PlannerTests.model([2]))
    let proxy = PlannerTests.running(before)
    #expect(Planner.leftovers(running: proxy, wanted: after) == 1)
    #expect(Planner.leftovers(running: proxy, wanted: before) == 0)
    var loaded = LoadedConfiguration(before)
    loaded.update(to: after)
    let kept = loaded
    loaded.prune(after, running: proxy)
    #expect(loaded == kept && loaded != LoadedConfiguration(after))
    loaded.prune(after, running: PlannerTests.running(after))
    #expect(loaded == LoadedConfiguration(after))
  }

  @Test("the model and its file are the same configuration") func sameConfiguration() {
    let model = PlannerTests.model([1, 2, 3]) {
      $0.sharedFrontend = ["bind 127.0.0.1:9"]
      $1.sharedFrontend = ["use_backend web.main"]
      $1.serverOptions = "check # note"
    }
    #expect(LoadedConfiguration(model) == LoadedConfiguration(text: model.render().text))
  }
}

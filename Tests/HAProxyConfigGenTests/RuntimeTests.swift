import SmartStack
import TestSupport
import Testing

@testable import HAProxyConfigGen

/// Planned commands against a real HAProxy that the test starts.
@Suite("a running HAProxy", .timeLimit(.minutes(2 * patience))) struct RuntimeTests {
  /// The shape configure_synapse gives a service.
  private static func settings() -> GeneratorSettings {
    var settings = GeneratorSettings()
    settings.global = ["stats socket SOCKET level admin", "maxconn 500"]
    settings.defaults = [
      "timeout connect 200ms", "timeout client 1000ms", "timeout server 1000ms", "balance leastconn", "mode http",
      "default-server on-error fastinter error-limit 1 inter 10m downinter 30s fastinter 30s rise 1 fall 2",
    ]
    settings.extraSections = [
      ExtraSection(title: "listen own", lines: ["bind unix@SOCKET.own", "server x 127.0.0.1:9"])
    ]
    settings.usesNerveWeights = true
    return settings
  }

  private static func service(_ change: (inout ServiceSettings) -> Void = { _ in }) -> ServiceSettings {
    var service = ServiceSettings(service: "web.main")
    service.serverOptions = "check port 6666 observe layer7 maxconn 50 maxqueue 10"
    service.backend = [
      "option httpchk GET /http/web.main/0/status", "http-check send-state", "default-server fall 4 pool-max-conn 7",
    ]
    service.backendOrder = .ascending
    change(&service)
    return service
  }

  private static func backend(_ number: Int, weight: Int? = nil, options: String? = nil) -> Backend {
    Backend(
      name: "host\(number)", host: "127.0.0.\(number)", port: 31_000 + number, id: number, weight: weight,
      haproxyServerOptions: options)
  }

  private static func apply(_ backends: [Backend], to model: inout ProxyModel) {
    model.apply(ServiceSnapshot(service: "web.main", backends: backends), now: Fixture.now)
  }

  /// Plans until nothing is left to do; every command must be obeyed.
  /// - Returns: the commands.
  private static func converge(
    _ proxy: RunningHAProxy, _ loaded: inout LoadedConfiguration, _ model: ProxyModel
  ) throws -> [String] {
    var all: [String] = []
    for _ in 0..<3 {
      let plan = Planner.plan(running: try proxy.state(), loaded: loaded, wanted: model)
      if plan.isEmpty { return all }
      guard plan.reloadReasons.isEmpty else { throw ToolError(description: "reload: \(plan.reloadReasons)") }
      try proxy.run(plan.commands)
      all += plan.commands.map(\.text)
      loaded.update(to: model)
    }
    throw ToolError(description: "the plan does not come to rest: \(all)")
  }

  /// What `show servers state` and `show stat` tell of a server, without what time and checks change.
  private static func portrait(_ proxy: RunningHAProxy, _ server: String) throws -> [String: String] {
    var portrait: [String: String] = [:]
    for line in try proxy.ask("show servers state web.main").split(separator: "\n") {
      let columns = line.split(separator: " ").map(String.init)
      guard columns.count > 18, columns[3] == server else { continue }
      let names = [
        2: "id", 4: "addr", 7: "uweight", 8: "iweight", 16: "forced id", 18: "port", 20: "ssl",
        21: "check port",
      ]
      for (index, name) in names { portrait[name] = columns[index] }
      // Under way or not is a matter of the moment; configured, enabled and paused are not.
      portrait["check state"] = String((Int(columns[13]) ?? 0) & 0x0E)
      portrait["maintenance"] = String((Int(columns[6]) ?? 0) & 0x0B)
    }
    let rows = try proxy.ask("show stat").split(separator: "\n")
    let header = rows[0].dropFirst(2).split(separator: ",", omittingEmptySubsequences: false)
    for row in rows.dropFirst() {
      let columns = row.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
      guard columns.count > 2, columns[0] == "web.main", columns[1] == server else { continue }
      for (name, value) in zip(header, columns)
      where ["slim", "qlimit", "weight", "act", "bck", "check_rise", "check_fall", "cookie", "mode", "algo"].contains(
        name)
      {
        portrait[String(name)] = value
      }
    }
    return portrait
  }

  @Test("a server added at run time is the server that the file gives") func equality() async throws {
    let options = [
      nil, "backup", "weight 7 rise 4 fall 5", "inter 3s slowstart 2s", "no-check",
      "agent-check agent-port 9 agent-inter 1s",
      "maxconn 3 minconn 1", "send-proxy-v2 on-marked-down shutdown-sessions", "disabled", "weight 0", "id 77",
    ]
    var fromFile = Fixture.model([], settings: RuntimeTests.settings(), service: RuntimeTests.service())
    var atRunTime = fromFile
    let backends = options.enumerated().map { RuntimeTests.backend($0 + 1, options: $1) }
    RuntimeTests.apply(backends, to: &fromFile)
    let loadedServers = try await RunningHAProxy(fromFile.render().text)
    let addedServers = try await RunningHAProxy(atRunTime.render().text)
    var loaded = LoadedConfiguration(atRunTime)
    RuntimeTests.apply(backends, to: &atRunTime)
    _ = try RuntimeTests.converge(addedServers, &loaded, atRunTime)
    for (backend, option) in zip(backends, options) {
      let fileState = try RuntimeTests.portrait(loadedServers, backend.serverName)
      if option == "disabled" {
        // Not wanted in service: nothing is added, the file has it in maintenance.
        #expect(try RuntimeTests.portrait(addedServers, backend.serverName) == [:] && fileState["maintenance"] == "1")
        continue
      }
      let added = try RuntimeTests.portrait(addedServers, backend.serverName)
      let differences = fileState.filter { added[$0.key] != $0.value }
      #expect(differences.isEmpty, "\(option ?? "none"): added \(added), from the file \(differences)")
      #expect(added.count == fileState.count)
    }
    // And the process that loaded the file needs no command at all.
    let plan = Planner.plan(running: try loadedServers.state(), loaded: LoadedConfiguration(fromFile), wanted: fromFile)
    #expect(plan.isEmpty)
  }

  @Test("servers leave and come back, weights change, and nothing is asked twice") func life() async throws {
    var model = Fixture.model(
      [1, 2, 3].map { RuntimeTests.backend($0, weight: 10) }, settings: RuntimeTests.settings(),
      service: RuntimeTests.service())
    let proxy = try await RunningHAProxy(model.render().text)
    var loaded = LoadedConfiguration(text: model.render().text)
    #expect(try RuntimeTests.converge(proxy, &loaded, model) == [])

    RuntimeTests.apply([RuntimeTests.backend(1, weight: 10), RuntimeTests.backend(2, weight: 20)], to: &model)
    let target = "web.main/host"
    // A release that deletes servers does so, and adds them when they return.
    let deletes = try HAProxyTool.version().deletesServers
    #expect(
      try RuntimeTests.converge(proxy, &loaded, model) == [
        "set server \(target)2_127.0.0.2:31002 weight 20", "set server \(target)3_127.0.0.3:31003 state maint",
      ] + (deletes ? ["del server \(target)3_127.0.0.3:31003"] : []))

    RuntimeTests.apply([1, 2, 3, 4].map { RuntimeTests.backend($0, weight: 10) }, to: &model)
    #expect(try RuntimeTests.converge(proxy, &loaded, model).count == (deletes ? 7 : 5))
    let servers = try proxy.state().backends["web.main"] ?? [:]
    #expect(servers.count == 4 && servers.values.allSatisfy { $0.adminState.isEmpty && $0.weight == 10 })
    #expect(servers.values.allSatisfy { $0.checkState.isSuperset(of: [.configured, .enabled]) })

    RuntimeTests.apply([], to: &model)
    #expect(try RuntimeTests.converge(proxy, &loaded, model).count == (deletes ? 8 : 4))
    RuntimeTests.apply([4, 3].map { RuntimeTests.backend($0, weight: 10) }, to: &model)
    let returns = try RuntimeTests.converge(proxy, &loaded, model)
    #expect(returns.count { $0.hasSuffix("state ready") } == 2 && returns.count == (deletes ? 6 : 2))
    #expect(try proxy.state().backends["own"]?["x"]?.adminState == [])
  }

  @Test("a server returns from every maintenance HAProxy knows") func maintenance() async throws {
    var settings = RuntimeTests.settings()
    settings.keepsGoneServers = true
    var model = Fixture.model(
      [1, 2].map { RuntimeTests.backend($0) }, settings: settings, service: RuntimeTests.service())
    RuntimeTests.apply([RuntimeTests.backend(1)], to: &model)
    let proxy = try await RunningHAProxy(model.render().text)
    var loaded = LoadedConfiguration(model)
    #expect(try RuntimeTests.converge(proxy, &loaded, model) == [])
    // From `disabled` in the file, from an operator's drain and maintenance.
    RuntimeTests.apply([1, 2].map { RuntimeTests.backend($0) }, to: &model)
    #expect(try RuntimeTests.converge(proxy, &loaded, model).count == 1)
    for state in ["drain", "maint"] {
      _ = try proxy.ask("set server web.main/host1_127.0.0.1:31001 state \(state)")
      #expect(try RuntimeTests.converge(proxy, &loaded, model).count == 1)
    }
    #expect(try RuntimeTests.portrait(proxy, "host2_127.0.0.2:31002")["maintenance"] == "0")
  }

  @Test("servers are added with IPv6, odd addresses and the other balance algorithms") func shapes() async throws {
    for balance in ["roundrobin", "leastconn", "first", "random", "source"] {
      let lines = ["balance \(balance)"] + (balance == "source" ? ["hash-type consistent"] : [])
      let service = RuntimeTests.service { $0.backend = lines }
      var model = Fixture.model([], settings: RuntimeTests.settings(), service: service)
      let proxy = try await RunningHAProxy(model.render().text)
      var loaded = LoadedConfiguration(model)
      let backends = [Backend(name: "six", host: "::1", port: 80), Backend(host: "2001:DB8:0::5", port: 8080)]
      RuntimeTests.apply(backends, to: &model)
      #expect(try RuntimeTests.converge(proxy, &loaded, model).count == 6)
    }
  }

  @Test("what the planner calls impossible, HAProxy refuses") func impossible() async throws {
    let text = RuntimeTests.settings()
    for (lines, options) in [(["balance source"], "check"), ([], "check socks4 127.0.0.1:1"), ([], "tcp-ut 5s")] {
      let service = RuntimeTests.service {
        $0.backend = lines
        $0.serverOptions = options
      }
      var model = Fixture.model([], settings: text, service: service)
      let proxy = try await RunningHAProxy(model.render().text)
      let loaded = LoadedConfiguration(model)
      RuntimeTests.apply([RuntimeTests.backend(1)], to: &model)
      guard !Planner.plan(running: try proxy.state(), loaded: loaded, wanted: model).reloadReasons.isEmpty else {
        Issue.record("planned as possible: \(lines) \(options)")
        continue
      }
      let reply = try proxy.ask("add server web.main/s 127.0.0.1:1 \(options)")
      #expect(!reply.contains("New server registered"), "\(reply)")
    }
  }
}

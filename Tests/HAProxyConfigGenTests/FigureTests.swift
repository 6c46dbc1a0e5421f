import Glibc
import HAProxyConfigGen
import SmartStack
import Testing

/// Figures for a release build: `SMARTSTACK_FIGURES=1 swift test -c release -Xswiftc -enable-testing --filter Figure`.
@Suite("figures", .enabled(if: getenv("SMARTSTACK_FIGURES") != nil), .serialized) struct FigureTests {
  @Test("how long things take", arguments: [(500, 20), (1000, 50)]) func figures(_ services: Int, _ servers: Int) {
    func snapshot(_ service: Int, from first: Int) -> ServiceSnapshot {
      let backends = (first..<first + servers).map { server in
        Backend(
          name: "host\(server)", host: "10.\(service / 250).\(service % 250).\(server % 250)", port: 31_000 + server,
          id: server,
          weight: 10, labels: ["region:r1": ""])
      }
      return ServiceSnapshot(service: "service\(service).main", backends: backends)
    }
    let settings = (0..<services).map { service in
      Fixture.service("service\(service).main") {
        $0.port = .number(String(20_000 + service))
        $0.serverOptions = "check port 6666 observe layer7 maxconn 50 maxqueue 10"
        $0.frontend = ["timeout client 3000ms"]
        $0.backend = [
          "balance leastconn", "option httpchk GET /http/service\(service).main/0/status", "timeout server 3000ms",
        ]
        $0.source = "{}"
      }
    }
    var top = Fixture.settings
    top.keepsGoneServers = true
    top.defaults.append("default-server on-error fastinter error-limit 1 inter 10m rise 1 fall 2")
    var model = ProxyModel(settings: top, services: settings, memory: ServerMemory())
    measure("all snapshots") {
      for service in 0..<services { model.apply(snapshot(service, from: 1), now: Fixture.now) }
    }
    var file = model.render()
    measure("render") { file = model.render() }
    print("  \(file.text.utf8.count) bytes")
    measure("one service and render") {
      model.apply(snapshot(7, from: 2), now: Fixture.now)
      file = model.render()
    }
    var loaded = LoadedConfiguration(model)
    measure("read the file back") { loaded = LoadedConfiguration(text: file.text) }
    let running = RunningProxy(version: HAProxyVersion(2, 6, 12), file: file.text)
    var plan = Plan()
    measure("plan: nothing") { plan = Planner.plan(running: running, loaded: loaded, wanted: model) }
    #expect(plan.isEmpty)
    model.apply(snapshot(7, from: 3), now: Fixture.now)
    measure("plan: one in, one out") { plan = Planner.plan(running: running, loaded: loaded, wanted: model) }
    measure("carry on what is loaded") { loaded.update(to: model) }
    var state: [UInt8] = []
    measure("write the state file") { state = Array(model.stateFile(now: Fixture.now).joined()) }
    measure("read the state file") { _ = ServerMemory(stateFile: state) }
  }

  private func measure(_ what: String, _ work: () -> Void) {
    let took = ContinuousClock().measure(work)
    print("  \(what): \(took)")
  }
}

extension RunningProxy {
  /// A process as it is after it loaded `file`.
  fileprivate init(version: HAProxyVersion, file: String) {
    self.init(version: version, backends: [:])
    var backend = ""
    for line in file.split(separator: "\n") {
      let words = line.split { $0 == " " || $0 == "\t" }.map(String.init)
      if !line.hasPrefix("\t") { backend = words[0] == "backend" ? words[1] : "" }
      guard words[0] == "server", let colon = words[2].lastIndex(of: ":") else { continue }
      backends[backend, default: [:]][words[1]] = RunningServer(
        id: Int(words[4]) ?? 0, address: String(words[2][..<colon]),
        port: Int(words[2][words[2].index(after: colon)...]) ?? 0,
        weight: 1, adminState: words.last == "disabled" ? .forcedMaintenance : [], checkState: [.configured, .enabled])
    }
  }
}

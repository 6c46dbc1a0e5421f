import SmartStack
import Testing

@testable import HAProxyConfigGen

@Suite("memory of servers") struct MemoryTests {
  /// Names with prescribed ids, in the registry's order: `c a b=7`.
  private static func servers(_ text: String) -> [(name: String, backend: Backend, id: Int?)] {
    text.words.map { word in
      let parts = word.split(separator: "=")
      return (String(parts[0]), Backend(host: "10.0.0.1", port: 1), parts.count > 1 ? Int(parts[1]) : nil)
    }
  }

  private static func ids(_ memory: ServerMemory) -> String {
    memory.entries(of: "web").sorted { $0.name < $1.name }
      .map { "\($0.name)\($0.entry.isLive ? "" : "-")=\($0.entry.id.map(String.init) ?? "?")" }.joined(separator: " ")
  }

  @Test(
    "ids",
    arguments: [
      ("new ones in the order of their names", ["c a b"], "a=1 b=2 c=3"),
      ("the registry's order does not matter", ["b c a", "a b c"], "a=1 b=2 c=3"),
      ("kept while others come", ["b", "a b c"], "a=2 b=1 c=3"),
      ("kept by those that left", ["a b", "b", "b c", "a b c"], "a=1 b=2 c=3"),
      ("prescribed ids go before", ["a b c=1"], "a=2 b=3 c=1"),
      ("a prescribed id is not taken from a server that is there", ["a b", "a b c=1"], "a=1 b=2 c=3"),
      ("a prescribed id is taken from a server that left", ["a b", "b c=1"], "a-=3 b=2 c=1"),
      ("of two that ask for one, the first by name", ["b=5 a=5"], "a=5 b=1"),
      ("who has it keeps it", ["b=5", "a=5 b=5"], "a=1 b=5"),
      ("a changed prescription", ["a=5", "a=6"], "a=6"),
      ("no longer prescribed: kept", ["a=5", "a b"], "a=5 b=1"),
      ("a prescribed id above the limit", ["a=70 b"], "a=70 b=1"),
      ("a full house takes the longest gone's", ["a b c", "b c", "c", "c d e f"], "c=3 d=4 e=1 f=2"),
      ("none left at all", ["a b c d e"], "a=1 b=2 c=3 d=4 e=?"),
    ])
  func ids(_ name: String, _ steps: [String], _ expected: String) {
    var memory = ServerMemory()
    for (index, step) in steps.enumerated() {
      _ = memory.observe(MemoryTests.servers(step), of: "web", maxServerID: 4, ttl: 1000, now: index)
    }
    #expect(MemoryTests.ids(memory) == expected)
  }

  @Test("a server that asks for another's id is named") func messages() {
    var memory = ServerMemory()
    let first = memory.observe(MemoryTests.servers("a=5 b=5"), of: "web", maxServerID: 1, ttl: 10, now: 0)
    #expect(first.map(\.message) == ["asks for id 5, which a has; it gets another"])
    let second = memory.observe(MemoryTests.servers("a b c d"), of: "web", maxServerID: 1, ttl: 10, now: 0)
    #expect(second.map(\.name) == ["c", "d"])
  }

  @Test("ids that the backend's own lines have are nobody else's") func ownIDs() {
    let service = Fixture.service { $0.backend = ["server own 127.0.0.1:1 id 1", "server other 127.0.0.1:2 id 3"] }
    var foreign = Fixture.backend(2)
    foreign.haproxyServerOptions = "id 3"
    let model = Fixture.model([Fixture.backend(1), foreign], service: service)
    let ids = model.lines(of: "backend web.main").map(\.words).map { $0[$0.firstIndex(of: "id").map { $0 + 1 } ?? 0] }
    #expect(ids == ["1", "3", "2", "4"])
    #expect(
      model.problems.map(\.message) == [
        "asks for id 3, which a server of the backend's own lines has; it gets another"
      ])
  }

  @Test("only a configuration file takes an id from a server that has it by chance") func configuredIDs() {
    var configured = Backend(host: "10.0.0.3", port: 1, haproxyServerID: 1)
    var memory = ServerMemory()
    _ = memory.observe(MemoryTests.servers("a b"), of: "web", maxServerID: 9, ttl: 10, now: 0)
    let all = MemoryTests.servers("a b") + [(name: "c", backend: configured, id: 1)]
    #expect(memory.observe(all, of: "web", maxServerID: 9, ttl: 10, now: 0).isEmpty)
    #expect(MemoryTests.ids(memory) == "a=3 b=2 c=1")
    // What runs has its id, even if nothing is remembered.
    memory = ServerMemory()
    memory.record(running: ["a": 1, "b": 2], of: "web")
    configured.haproxyServerID = nil
    let foreign = MemoryTests.servers("a b") + [(name: "c", backend: configured, id: 1)]
    #expect(
      memory.observe(foreign, of: "web", maxServerID: 9, ttl: 10, now: 0).map(\.message) == [
        "asks for id 1, which a has; it gets another"
      ])
    #expect(MemoryTests.ids(memory) == "a=1 b=2 c=3")
  }

  @Test("ids of a running HAProxy are kept where nothing else is known") func runningIDs() {
    var memory = ServerMemory()
    memory.record(running: ["b": 1, "gone": 2, "c": 9], of: "web")
    _ = memory.observe(MemoryTests.servers("a b c"), of: "web", maxServerID: 4, ttl: 10, now: 0)
    #expect(MemoryTests.ids(memory) == "a=3 b=1 c=9")
    _ = memory.observe(MemoryTests.servers("a b c d e"), of: "web", maxServerID: 4, ttl: 10, now: 0)
    #expect(MemoryTests.ids(memory) == "a=3 b=1 c=9 d=4 e=2")
  }

  @Test("an agent that starts without a state file does not change a running HAProxy") func startAnew() {
    var before = Fixture.model([Fixture.backend(5)])
    before.apply(ServiceSnapshot(service: "web.main", backends: [1, 5].map(Fixture.backend)), now: Fixture.now)
    let running = PlannerTests.running(before)
    let loaded = LoadedConfiguration(text: before.render().text)
    for notes in [false, true] {
      var model = ProxyModel(settings: Fixture.settings, services: [Fixture.service()], memory: ServerMemory())
      if notes { model.recordIDs(of: running) }
      model.apply(ServiceSnapshot(service: "web.main", backends: [1, 5].map(Fixture.backend)), now: Fixture.now)
      #expect(Planner.plan(running: running, loaded: loaded, wanted: model).isEmpty == notes)
    }
  }

  @Test("servers that left are forgotten after their time, on either side of now") func expiry() {
    var memory = ServerMemory()
    _ = memory.observe(MemoryTests.servers("a b"), of: "web", maxServerID: 9, ttl: 10, now: 100)
    _ = memory.observe(MemoryTests.servers("b"), of: "web", maxServerID: 9, ttl: 10, now: 100)
    #expect(memory.expire(ttl: 10, now: 110) == [])
    #expect(memory.expire(ttl: 10, now: 111) == ["web"])
    #expect(MemoryTests.ids(memory) == "b=2")
    _ = memory.observe([], of: "web", maxServerID: 9, ttl: 10, now: 200)
    #expect(memory.expire(ttl: 10, now: 150) == ["web"])
    #expect(MemoryTests.ids(memory) == "")
  }

  @Test("not more than a thousand that left are remembered") func bounded() {
    var memory = ServerMemory()
    for round in 0..<30 {
      let names = (0..<100).map { "s\(round * 100 + $0)" }.joined(separator: " ")
      _ = memory.observe(MemoryTests.servers(names), of: "web", maxServerID: 65_535, ttl: 100_000, now: round)
    }
    #expect(memory.entries(of: "web").count == ServerMemory.maximumGone + 100)
    #expect(memory.entries(of: "web").allSatisfy { ($0.entry.id ?? 0) > 0 })
  }

  @Test("servers that were forgotten and return have the ids that a running HAProxy has for them") func returning() {
    let all = (0..<3 * ServerMemory.maximumGone).map { Backend(host: "10.0.\($0 / 250).\(1 + $0 % 250)", port: 80) }
    var model = Fixture.model(all)
    let running = PlannerTests.running(model)
    model.recordIDs(of: running)
    let loaded = LoadedConfiguration(model)
    model.apply(ServiceSnapshot(service: "web.main", backends: []), now: Fixture.now)
    #expect(model.memory.entries(of: "web.main").count == ServerMemory.maximumGone)
    // In parts, the last first.
    for first in [2000, 1000, 0] {
      model.apply(ServiceSnapshot(service: "web.main", backends: Array(all[first...])), now: Fixture.now)
    }
    #expect(Planner.plan(running: running, loaded: loaded, wanted: model).isEmpty)
  }

  @Test("nothing is kept of a process that was replaced", arguments: [(false, "a=7 b=1"), (true, "a=2 b=1")])
  func replaced(_ isReplaced: Bool, _ expected: String) {
    var memory = ServerMemory()
    memory.record(running: ["a": 7], of: "web")
    for (now, names) in ["a", "", "b"].enumerated() {
      _ = memory.observe(MemoryTests.servers(names), of: "web", maxServerID: 9, ttl: 10, now: 100 * now)
    }
    if isReplaced { memory.record(running: ["b": 1], of: "web") }
    _ = memory.observe(MemoryTests.servers("a b"), of: "web", maxServerID: 9, ttl: 10, now: 200)
    #expect(MemoryTests.ids(memory) == expected)
  }

  @Test("the state file is read back") func roundTrip() throws {
    var settings = Fixture.settings
    settings.keepsGoneServers = true
    var service = Fixture.service()
    service.source = #"{"port": 3213, "server_options": "check", "x": [1, {"y": null}]}"#
    var full = Backend(
      name: "i-9", host: "10.0.0.9", port: 9, id: 9, weight: 5, haproxyServerOptions: "backup",
      labels: ["region:r1": ""])
    full.origin = .max
    let model = Fixture.model([Fixture.backend(1), full], settings: settings, service: service)
    let bytes = Array(model.stateFile(now: Fixture.now + 60).joined())
    let memory = try #require(ServerMemory(stateFile: bytes))
    let entries = memory.entries(of: "web.main")
    #expect(entries.map(\.name) == ["i-1_10.0.0.1:8001", "i-9_10.0.0.9:9"])
    #expect(entries.map(\.entry.backend) == [Fixture.backend(1), full])
    #expect(memory.registrations(of: "web.main") == [.max: full])
    #expect(entries.map(\.entry.id) == [1, 2])
    #expect(entries.allSatisfy { $0.entry.lastSeen == Fixture.now + 60 && !$0.entry.isLive })
    let configuration = JSONValue(bytes)?["web.main"]?["watcher_config_for_generator"]
    #expect(configuration?["server_options"] == .string("check"))
    #expect(configuration?["listen"] == .array([]))
    #expect(configuration?["x"] != nil)
  }

  @Test(
    "a state file that makes no sense is an empty one",
    arguments: [
      "", "{", "[]", "null", #"{"web": 1}"#, #"{"web": {"x": 1}}"#, #"{"web": {"a:1": {"host": "a", "port": "x"}}}"#,
      #"{"web": {"other:1": {"host": "a", "port": 1}}}"#,
    ])
  func nonsense(_ text: String) {
    #expect((ServerMemory(stateFile: Array(text.utf8)) ?? ServerMemory()).services.isEmpty)
  }

  @Test("hostile entries of a state file never reach the file") func hostileState() throws {
    let state = #"""
      {"web.main": {"a\nb_10.0.0.1:1": {"name": "a\nb", "host": "10.0.0.1", "port": 1, "timestamp": 1800000000},
       "x_10.0.0.1:1": {"name": "x", "host": "10.0.0.1", "port": 1, "timestamp": 1800000000,
        "haproxy_server_options": "backup\nfrontend evil"}}}
      """#
    var settings = Fixture.settings
    settings.keepsGoneServers = true
    let model = Fixture.model([], settings: settings, memory: try #require(ServerMemory(stateFile: Array(state.utf8))))
    #expect(model.lines(of: "backend web.main") == [])
  }
}

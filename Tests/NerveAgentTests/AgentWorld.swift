import Glibc
import Logging
import Reactor
import SmartStack
import TestSupport
import ZooKeeper

@testable import NerveAgent

/// A task of the host: answers HTTP with what the test says.
@LoopActor final class Target {
  var status = 200
  private(set) var port = 0
  private var listener: HTTPListener?

  init() throws {
    let listener = HTTPListener { [weak self] exchange in
      exchange.respond(status: self?.status ?? 503, text: "task\n")
    }
    self.listener = listener
    if case .tcp(_, let port) = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)) { self.port = port }
  }

  func close() { listener?.close() }
}

/// Watches a directory with a session of its own and writes down every state it sees.
@LoopActor final class Observer {
  private(set) var history: [[String]] = []
  private let client: ZooKeeperClient
  private let directory: String

  init(_ connection: String, _ directory: String) throws {
    self.directory = directory
    client = ZooKeeperClient(ensemble: try ServerList([connection]), sessionTimeout: .seconds(30), logger: silent)
    client.start()
    _ = client.watchDirectory(directory) { [weak self] event in
      guard let self else { return }
      let names: [String]
      switch event {
      case .children(let found): names = found.sorted()
      case .missing: names = []
      case .data, .failed: return
      }
      if history.last != names { history.append(names) }
    }
  }

  /// What was there last; nil before the first answer.
  var now: [String]? { history.last }
  /// The most that was ever there at one time.
  var most: Int { history.map(\.count).max() ?? 0 }

  /// Waits until `count` registrations are there.
  /// - Returns: their names.
  @discardableResult
  func sees(_ count: Int, _ what: String) async throws -> [String] {
    try await eventually("\(what); seen so far: \(history)") { now?.count == count }
    return now ?? []
  }

  func data(_ name: String) async throws -> String {
    String(decoding: try await client.read("\(directory)/\(name)") ?? [], as: UTF8.self)
  }

  /// Forgets what was seen, but for what is there now.
  func mark() { history = [history.last ?? []] }

  func close() async { await client.close() }
}

/// A host with a nerve: its configuration, its tasks, a ZooKeeper.
@LoopActor final class AgentWorld {
  let server: ZooKeeperServer
  let directory = TemporaryDirectory()
  let hacheckPort: Int
  private var agents: [Agent] = []
  private var observers: [Observer] = []
  private var targets: [Target] = []

  init(tick: Duration) throws {
    server = try ZooKeeperServer(tick: tick)
    hacheckPort = try freePort()
    mkdir(directory.path + "/state", 0o700)
    writeFile(directory.path + "/hacheck.yaml", "allow_remote_spool_changes: true\ncache_time: 0\n")
  }

  var configurationPath: String { directory.path + "/nerve.conf.json" }
  var spoolPath: String { directory.path + "/spool" }

  /// A service in the configuration's text; `check` is its only check.
  func service(
    _ name: String, path: String? = nil, check: String = #"{"type": "noop"}"#, more: String = "", interval: Double = 0.1
  ) -> String {
    """
    "\(name)": {"host": "10.0.0.5", "port": 3000, "zk_hosts": ["\(server.connection)"],
      "zk_path": "\(path ?? "/nerve/" + name)", "check_interval": \(interval), "checks": [\(check)]\(more)}
    """
  }

  /// An http check at the task itself.
  func http(_ target: Target) -> String {
    #"""
    {"type": "http", "host": "127.0.0.1", "port": \#(target.port), "uri": "/status", "timeout": \#(5 * patience),
     "open_timeout": \#(5 * patience)}
    """#
  }

  /// The same through hacheck, as configure_nerve writes it.
  func throughHacheck(_ target: Target, service: String = "web.main") -> String {
    #"""
    {"type": "http", "host": "127.0.0.1", "port": \#(hacheckPort), "timeout": \#(5 * patience),
     "open_timeout": \#(5 * patience), "uri": "/http/\#(service)/\#(target.port)/status"}
    """#
  }

  func configure(_ services: String..., more: String = "") {
    writeFile(
      configurationPath,
      """
      {"instance_id": "host1", "state_dir": "\(directory.path)/state", "hacheck": {"port": \(hacheckPort),
       "bind_address": "127.0.0.1", "spool_root": "\(spoolPath)", "config": "\(directory.path)/hacheck.yaml"},
       "services": {\(services.joined(separator: ",\n"))}\(more)}
      """)
  }

  func agent(sessionTimeout: Duration = .seconds(4)) throws -> Agent {
    let agent = Agent(
      options: AgentOptions(configuration: configurationPath, sessionTimeout: sessionTimeout), logger: silent)
    try agent.start()
    agents.append(agent)
    return agent
  }

  func target() throws -> Target {
    let target = try Target()
    targets.append(target)
    return target
  }

  func observe(_ directory: String) async throws -> Observer {
    let observer = try Observer(server.connection, directory)
    observers.append(observer)
    try await eventually("the observer has looked") { observer.now != nil }
    return observer
  }

  /// `POST /spool/…`, as PaaSTA drains.
  func post(_ scope: String, _ form: String) async throws -> Int {
    let request = HTTPRequest(
      method: "POST", endpoint: .tcp(host: "127.0.0.1", port: hacheckPort), target: "/spool/\(scope)/status",
      headers: [HTTPHeader(name: "Content-Type", value: "application/x-www-form-urlencoded")], body: Array(form.utf8))
    return try await HTTPClient.send(request, deadline: .seconds(10)).status
  }

  /// What hacheck says over HTTP.
  func ask(_ path: String) async throws -> Int {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: hacheckPort), target: path)
    return try await HTTPClient.send(request, deadline: .seconds(10)).status
  }

  fileprivate func end() async {
    server.resume()
    for agent in agents { await agent.stop() }
    for observer in observers { await observer.close() }
    for target in targets { target.close() }
    await server.kill()
  }
}

/// Runs `body` with a world whose ZooKeeper answers, and ends everything afterwards.
@LoopActor func withWorld(
  tick: Duration = .milliseconds(200), _ body: @LoopActor (AgentWorld) async throws -> Void
) async throws {
  let world = try AgentWorld(tick: tick)
  do {
    try await world.server.start()
    try await body(world)
  } catch {
    await world.end()
    throw error
  }
  await world.end()
}

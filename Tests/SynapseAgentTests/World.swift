internal import HAProxyConfigGen
import HAProxyRuntime
internal import Logging
internal import Reactor
internal import SmartStack
internal import TestSupport
internal import YAMLConfig
internal import ZooKeeper

@testable internal import SynapseAgent

/// A registry, a proxy, tasks behind it and an agent between: all real but for the agent's process.
@LoopActor final class World {
  let zookeeper: ZooKeeperServer
  let proxy = HAProxyServer()
  let port: Int
  let metrics = Metrics()
  let journal = Journal()
  private(set) var registrar: ZooKeeperClient
  private(set) var synapse: Synapse?
  private var tasks: [String: HTTPListener] = [:]
  private var ports: [String: Int] = [:]

  /// A world with a ZooKeeper; the proxy and the agent are started by the test.
  static func make() async throws -> World {
    let zookeeper = try ZooKeeperServer()
    try await zookeeper.start()
    return try World(zookeeper, port: try freePort())
  }

  private init(_ zookeeper: ZooKeeperServer, port: Int) throws {
    self.zookeeper = zookeeper
    self.port = port
    registrar = ZooKeeperClient(
      ensemble: try ServerList([zookeeper.connection]),
      logger: Logger(label: "registrar") { _ in SwiftLogNoOpLogHandler() })
    registrar.start()
  }

  /// Runs `body` in a world and takes everything down afterwards.
  static func with(_ body: @LoopActor (World) async throws -> Void) async throws {
    let world = try await World.make()
    let outcome: Result<Void, any Error>
    do { outcome = .success(try await body(world)) } catch { outcome = .failure(error) }
    await world.synapse?.stop()
    await world.proxy.stop()
    await world.registrar.close()
    await world.zookeeper.kill()
    for task in world.tasks.values { task.close() }
    do { try outcome.get() } catch { throw ServerTrouble(description: "\(error)\n\(world.journal.text)") }
  }

  // MARK: Tasks and registrations

  /// Starts a task that answers every request with its name.
  /// - Returns: its port.
  func startTask(_ name: String) throws -> Int {
    let listener = HTTPListener { exchange in
      exchange.respond(status: 200, headers: [], body: Array(name.utf8))
    }
    guard case .tcp(_, let port) = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return 0 }
    tasks[name] = listener
    ports[name] = port
    return port
  }

  /// The port of a task that was started.
  func taskPort(_ name: String) -> Int? { ports[name] }

  /// Makes a registration.
  /// - Returns: its path.
  @discardableResult
  func register(_ name: String, port: Int, weight: Int? = nil, at directory: String = "/svc/web") async throws -> String
  {
    let backend = Backend(name: name, host: "127.0.0.1", port: port, weight: weight)
    return try await put(RegistrationCodec.payload(backend), "\(directory)/\(name)_", sequential: true)
  }

  @discardableResult
  func put(_ data: [UInt8], _ path: String, sequential: Bool = false) async throws -> String {
    var last: any Error = ServerTrouble(description: "not tried")
    // Half a minute: a registry that was just started again, on a busy machine, takes some seconds.
    for _ in 0..<1500 {
      do {
        return try await registrar.create(path, data: data, mode: sequential ? .persistentSequential : .persistent)
      } catch {
        last = error
        try await LoopClock.system.sleep(for: .milliseconds(20))
      }
    }
    throw last
  }

  // MARK: The agent

  /// Where the service's servers are registered, and sections for it.
  var discovery: String {
    let path = "/svc/web"
    return "{method: zookeeper, hosts: ['\(zookeeper.connection)'], path: \(path), generator_config_path: \(path)}"
  }

  /// The file that the agent is given, one service `web`; lines are added to the sections as they stand.
  func configuration(
    service: [String] = [], haproxy: [String] = [], serviceHAProxy: [String] = [], more: [String] = []
  ) -> String {
    var lines = [
      "first_data_deadline: 2", "haproxy:", "  config_file_path: \(proxy.configurationPath)",
      "  socket_file_path: \(proxy.socketPath)", "  reload_command: '\(proxy.reloadCommand)'",
      "  restart_interval: 0", "  bind_address: 127.0.0.1", "  state_file_path: \(proxy.path)/state.json",
      "  global:",
    ]
    lines += proxy.globalLines.map { "    - \($0)" } + ["  defaults:"]
    lines += HAProxyServer.defaultsLines.map { "    - \($0)" }
    lines += haproxy.map { "  \($0)" }
    lines += [
      "services:", "  web:",
      "    discovery: \(discovery)",
    ]
    lines += service.map { "    \($0)" }
    lines += ["    haproxy:", "      port: \(port)", "      server_options: 'maxconn 50'", "      backend_order: asc"]
    // Tests change the file through the registry.
    lines += ["      generator_config_trust: full"]
    lines += serviceHAProxy.map { "      \($0)" }
    return (lines + more).joined(separator: "\n") + "\n"
  }

  func load(_ text: String) throws -> SynapseConfiguration {
    let path = proxy.path + "/synapse.yaml"
    try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
    return try ConfigurationLoader(environment: [:]).load(path)
  }

  /// Starts the agent, in place of the one that runs.
  func startAgent(_ text: String) async throws {
    await synapse?.stop()
    let agent = Synapse(
      try load(text), stateDirectory: proxy.path, logger: journal.logger, metrics: metrics)
    synapse = agent
    agent.start()
  }

  /// A file that HAProxy can be started with, and the agent has made: without servers.
  func startProxyAndAgent(_ text: String) async throws {
    try proxy.write(sections: [])
    try await proxy.start()
    try await startAgent(text)
    try await eventually("the service listens") {
      guard self.reloads == 1 else { return false }
      return await self.isListening()
    }
  }

  // MARK: Looking

  /// One request to the service; the name of the task that answered.
  func request() async -> String? {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/")
    guard let response = try? await HTTPClient.send(request, deadline: .seconds(5)), response.status == 200 else {
      return nil
    }
    return String(decoding: response.body, as: UTF8.self)
  }

  /// Whether the service's frontend takes connections.
  func isListening() async -> Bool {
    guard let stream = try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(2))
    else { return false }
    stream.close()
    return true
  }

  /// The servers of the service that HAProxy has in use, by name.
  func serving() async -> [String: RunningServer] {
    guard let seen = try? await HAProxyRuntimeClient(socket: proxy.socketPath).observe() else { return [:] }
    let maintenance: AdminState = [.forcedMaintenance, .inheritedMaintenance, .unresolved]
    return (seen.running.backends["web"] ?? [:]).filter { $0.value.adminState.isDisjoint(with: maintenance) }
  }

  /// The names of the tasks behind ``serving()``.
  func servingTasks() async -> Set<String> {
    Set(await serving().keys.map { String($0.split(separator: "_")[0]) })
  }

  /// HAProxy's file.
  func file() -> String {
    (try? Files.read(proxy.configurationPath, limit: 1 << 24)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// How often HAProxy was reloaded with success.
  var reloads: Int {
    Int(metrics.counter("synapse_haproxy_reloads_total", labels: ["result": "good"], help: "").value)
  }
}

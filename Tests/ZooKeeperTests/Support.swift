import Glibc
import Logging
import Reactor
import SmartStack
import TestSupport

@testable import ZooKeeper

/// Silent; with `ZOOKEEPER_TEST_LOG` in the environment everything goes to stderr.
let testLogger: Logger = {
  guard getenv("ZOOKEEPER_TEST_LOG") != nil else {
    return Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
  }
  var logger = Logger(label: "test", factory: StreamLogHandler.standardError(label:))
  logger.logLevel = .trace
  return logger
}()

/// What one test needs: clients that are closed in the end, whatever happens.
@LoopActor final class World {
  let server: ZooKeeperServer
  private var clients: [ZooKeeperClient] = []
  private var readers: [ZooKeeperReader] = []

  init(_ server: ZooKeeperServer) { self.server = server }

  /// A started client, connected unless told otherwise.
  func client(
    to connection: String? = nil, tls: TLSOptions? = nil, timeout: Duration = .seconds(4), saved: SavedSession? = nil,
    credentials: ZooKeeperCredentials? = nil, own: OwnNodes = OwnNodes(), metrics: Metrics? = nil,
    limits: ZooKeeperLimits = ZooKeeperLimits(), names: NameResolver = .system,
    clock: LoopClock = .system, isConnected: Bool = true
  ) async throws -> ZooKeeperClient {
    let client = ZooKeeperClient(
      ensemble: try ServerList([connection ?? server.connection]), tls: tls, sessionTimeout: timeout, clock: clock,
      logger: testLogger, metrics: metrics,
      savedSession: saved, credentials: credentials, own: own, limits: limits, names: names)
    clients.append(client)
    client.start()
    if isConnected { try await connected(client) }
    return client
  }

  /// A started reader, connected.
  func reader(
    to connection: String? = nil, tls: TLSOptions? = nil, timeout: Duration = .seconds(4), metrics: Metrics? = nil,
    limits: ZooKeeperLimits = ZooKeeperLimits(), logger: Logger = testLogger
  ) async throws -> ZooKeeperReader {
    let reader = ZooKeeperReader(
      ensemble: try ServerList([connection ?? server.connection]), tls: tls, sessionTimeout: timeout, logger: logger,
      metrics: metrics, limits: limits)
    readers.append(reader)
    reader.start()
    guard await reader.connects(within: .seconds(30)) else { throw ServerTrouble(description: "not connected") }
    return reader
  }

  /// A started one of either kind.
  func watcher(_ kind: WatcherKind, to connection: String? = nil) async throws -> any PathWatcher {
    switch kind {
    case .client: try await client(to: connection)
    case .reader: try await reader(to: connection)
    }
  }

  func closeAll() async {
    for client in clients { await client.close() }
    for reader in readers { await reader.close() }
  }
}

/// The two that watch paths.
enum WatcherKind: CaseIterable { case client, reader }

/// What both have in common.
@LoopActor protocol PathWatcher {
  var reconnectedAt: LoopClock.Instant? { get }
  func watchDirectory(_ path: String, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken
  func watchData(_ path: String, onEvent: @escaping @LoopActor (WatchEvent) -> Void) -> WatchToken
  func read(_ path: String) async throws -> [UInt8]?
  func children(_ path: String) async throws -> [String]?
}

extension ZooKeeperClient: PathWatcher {}
extension ZooKeeperReader: PathWatcher {}

/// Runs `body` with a started server and closes everything afterwards.
@LoopActor func withServer(
  tick: Duration = .milliseconds(200), tls: (certificate: String, clients: String?)? = nil,
  _ body: @LoopActor (World, ZooKeeperServer) async throws -> Void
) async throws {
  let server = try ZooKeeperServer(tick: tick, tls: tls)
  try await server.start()
  let world = World(server)
  do {
    try await body(world, server)
  } catch {
    server.resume()
    await world.closeAll()
    await server.kill()
    throw error
  }
  server.resume()
  await world.closeAll()
  await server.kill()
}

/// Lets everything run that is ready to run on the loop, many times over.
@LoopActor func loopTurns() async throws {
  for _ in 0..<100 { try await LoopClock.system.sleep(for: .zero) }
}

@LoopActor func connected(_ client: ZooKeeperClient) async throws {
  try await eventually("connected") { if case .connected = client.state { true } else { false } }
}

@LoopActor func registered(_ node: WantedNode) async throws -> String {
  var path = ""
  try await eventually("registered: \(node.state)") {
    guard case .registered(let made) = node.state else { return false }
    path = made
    return true
  }
  return path
}

extension ZooKeeperClient {
  /// How often children came to or went from `path` since it was made: the whole history in one number.
  func childChanges(_ path: String) async throws -> Int {
    guard let session = context.connected else { return -1 }
    return Int(try await session.stat(path)?.childVersion ?? 0)
  }

  /// What is at a node.
  func stat(_ path: String) async throws -> NodeStat? { try await context.connected?.stat(path) }
}

extension ZooKeeperSession {
  /// As if the watch had fired.
  func fireForTest(_ key: WatchKey) { watches.listeners[key]?(false) }

  /// As if every watch were lost.
  func ignoreAllForTest() { watches.listeners = [:] }
}

extension String {
  var bytes: [UInt8] { Array(utf8) }
}

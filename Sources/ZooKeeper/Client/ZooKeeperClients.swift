public import Logging
public import Reactor
public import SmartStack

/// One started client per ensemble, however many services name it.
@LoopActor public final class ZooKeeperClients {
  private let sessionTimeout: Duration
  private let clock: LoopClock
  private let logger: Logger
  private let metrics: Metrics?
  private let credentials: ZooKeeperCredentials?
  private let savedSession: @LoopActor (_ key: String) -> SavedSession?
  private var clients: [String: ZooKeeperClient] = [:]

  /// - Parameter savedSession: asked once per ensemble, with ``key(for:)``, for a session to carry on.
  public init(
    sessionTimeout: Duration = .seconds(10), clock: LoopClock = .system, logger: Logger, metrics: Metrics? = nil,
    credentials: ZooKeeperCredentials? = nil,
    savedSession: @escaping @LoopActor (_ key: String) -> SavedSession? = { _ in nil }
  ) {
    self.sessionTimeout = sessionTimeout
    self.clock = clock
    self.logger = logger
    self.metrics = metrics
    self.credentials = credentials
    self.savedSession = savedSession
  }

  /// What two lists of the same servers have in common: the servers in sorted order, joined with commas.
  public nonisolated static func key(for hosts: [String]) -> String { hosts.sorted().joined(separator: ",") }

  /// The ensemble's client, started; the same one for the same servers in any order.
  public func client(for hosts: [String]) -> ZooKeeperClient {
    let key = Self.key(for: hosts)
    if let known = clients[key] { return known }
    let made = ZooKeeperClient(
      connection: key, sessionTimeout: sessionTimeout, clock: clock, logger: logger, metrics: metrics,
      savedSession: savedSession(key), credentials: credentials)
    clients[key] = made
    made.start()
    return made
  }

  /// The clients there are, by ``key(for:)``.
  public var all: [String: ZooKeeperClient] { clients }

  /// Ends one ensemble's session when no service needs it any more.
  public func close(_ key: String) async { await clients.removeValue(forKey: key)?.close() }

  /// Ends every session, all at the same time.
  public func closeAll() async {
    let ending = clients.values
    clients = [:]
    await withDiscardingTaskGroup { group in
      for client in ending { group.addTask { await client.close() } }
    }
  }

  /// Leaves every session alive for a successor.
  /// - Returns: the sessions by ``key(for:)``.
  public func abandonAll() async -> [String: SavedSession] {
    let leaving = clients
    clients = [:]
    var sessions: [String: SavedSession] = [:]
    for (key, client) in leaving { sessions[key] = await client.abandon() }
    return sessions
  }
}

public import Logging
public import Reactor
public import SmartStack

/// Keeps wanted registrations and watches true at one ensemble, across lost connections and sessions.
@LoopActor public final class ZooKeeperClient {
  /// How the client stands with the ensemble.
  public private(set) var state: ConnectionState = .connecting
  /// The connection string given at the start.
  public let connection: String

  /// - Parameters:
  ///   - connection: `host:port,host:port` with an optional `/chroot` at the end.
  ///   - sessionTimeout: what is asked for; the server may give more or less (2 to 20 of its ticks).
  ///   - metrics: where requests, watches, reconnects, expiries and registrations are counted.
  ///   - savedSession: a session to carry on; when it has expired a new one is opened.
  ///   - credentials: added to every connection.
  public init(
    connection: String, sessionTimeout: Duration = .seconds(10), clock: LoopClock = .system, logger: Logger,
    metrics: Metrics? = nil, savedSession: SavedSession? = nil, credentials: ZooKeeperCredentials? = nil
  ) {
    self.connection = connection
  }

  /// Begins to connect. Wants and watches may be added before or after.
  public func start() {}

  /// Ends the session, and with it every ephemeral node, at once; returns within about five seconds even
  /// when no server answers. Pending calls fail with ``ZooKeeperError/Code/closed``.
  public func close() async {}

  /// Leaves without ending the session, so that another process can carry it on within the timeout.
  /// - Returns: the session; nil when there is none.
  public func abandon() async -> SavedSession? { nil }

  /// The session in use, to be kept in a file for a later ``init(connection:sessionTimeout:clock:logger:metrics:savedSession:credentials:)``.
  public var savedSession: SavedSession? { nil }

  /// Calls `observer` after every change of ``state``.
  @discardableResult
  public func onState(_ observer: @escaping @LoopActor (ConnectionState) -> Void) -> WatchToken {
    WatchToken {}
  }

  /// Keeps a node true: makes it (and its parents), makes it again when somebody deletes it or the
  /// session expires, and takes over a node that this very session left behind.
  /// - Parameters:
  ///   - adopting: may a node left behind by this session under the same name, but with other data, be
  ///     taken over and rewritten? Asked with that data. Nil: only a node with the same data is.
  ///   - onChange: called after every change of the node's state.
  @discardableResult
  public func want(
    _ registration: Registration, adopting: (@LoopActor (_ data: [UInt8]) -> Bool)? = nil,
    onChange: @escaping @LoopActor (WantedNode.State) -> Void = { _ in }
  ) -> WantedNode { WantedNode(registration) }

  /// Deletes what the session carried on by ``savedSession`` left in directories of current or former
  /// registrations and nobody has wanted since. Call it once every service has reported after a resume.
  public func dropLeftovers(in directories: [String]) async {}

  /// Reports the complete child list of `path`: first as soon as it is known, then after every change and
  /// every reconnect (the same list may come twice). Bursts of changes are read once.
  public func watchDirectory(
    _ path: String, _ onEvent: @escaping @LoopActor (DirectoryEvent) -> Void
  ) -> WatchToken { WatchToken {} }

  /// Reports the bytes of `path`: first as soon as they are known, then after every change.
  public func watchData(_ path: String, _ onEvent: @escaping @LoopActor (DataEvent) -> Void) -> WatchToken {
    WatchToken {}
  }

  /// The node's bytes; nil when it does not exist. One request, at once.
  /// - Throws: ``ZooKeeperError``; without a connection at once, with ``ZooKeeperError/Code/connectionLoss``.
  public func read(_ path: String) async throws -> [UInt8]? { nil }

  /// The names below `path`; nil when it does not exist.
  public func children(_ path: String) async throws -> [String]? { nil }

  /// Whether the node exists.
  public func exists(_ path: String) async throws -> Bool { false }

  /// Makes a node, with its parents when they are missing.
  /// - Returns: its path, with the digits of the sequential modes.
  @discardableResult
  public func create(_ path: String, _ data: [UInt8] = [], mode: NodeMode = .persistent) async throws -> String { path }

  /// Replaces the node's bytes.
  public func set(_ path: String, _ data: [UInt8]) async throws {}

  /// Deletes the node; one that does not exist is fine.
  public func delete(_ path: String) async throws {}
}

/// What clients of a ``HTTPListener`` may cost it.
public struct HTTPServerLimits: Sendable {
  /// Request line and headers together.
  public var maxHeadBytes: Int
  /// A longer body is answered 413.
  public var maxBodyBytes: Int
  /// At this many connections those go that have been quiet longest, for more than a second. While there are none, no
  /// more are accepted until one goes; they wait in the system's backlog.
  public var maxConnections: Int
  /// How long a connection may be silent, between requests and within one. Waiting for the handler does not count.
  public var idleTimeout: Duration
  /// How long a request may take from its first byte to its last; a slower one is answered 408. Up to a quarter more,
  /// because it is looked for now and then.
  public var requestTimeout: Duration

  /// 16 KiB, 64 KiB, 4,096 connections, 60 s and 30 s unless given.
  public init(
    maxHeadBytes: Int = 16 << 10, maxBodyBytes: Int = 64 << 10, maxConnections: Int = 4096,
    idleTimeout: Duration = .seconds(60), requestTimeout: Duration = .seconds(30)
  ) {
    self.maxHeadBytes = maxHeadBytes
    self.maxBodyBytes = maxBodyBytes
    self.maxConnections = maxConnections
    self.idleTimeout = idleTimeout
    self.requestTimeout = requestTimeout
  }
}

/// What clients of a ``HTTPListener`` may cost it.
public struct HTTPServerLimits: Sendable {
  /// Request line and headers together.
  public var maxHeadBytes: Int
  /// A longer body is answered 413.
  public var maxBodyBytes: Int
  /// At this many connections those go that have been quiet longest, for more than a second. While there are none, no
  /// more are accepted until one goes; they wait in the system's backlog.
  public var maxConnections: Int
  /// Connections of one address beyond this number end, those first that have waited longest for their client; up to a
  /// sixteenth more, because they are counted now and then. The rest is for other addresses.
  public var maxPerAddress: Int
  /// Bytes of answers that clients have not read, in all. Beyond it those connections end that have waited longest for
  /// their client to read. A connection has at most one answer: its next request is read when the client has that one.
  public var maxUnreadBytes: Int
  /// How long a connection may be silent, between requests and within one. Waiting for the handler does not count.
  public var idleTimeout: Duration
  /// How long a request may take from its first byte to its last; a slower one is answered 408. Up to a quarter more,
  /// because it is looked for now and then.
  public var requestTimeout: Duration

  /// 16 KiB, 64 KiB, 4,096 connections (any number from one address), 48 MiB, 60 s and 30 s unless given.
  public init(
    maxHeadBytes: Int = 16 << 10, maxBodyBytes: Int = 64 << 10, maxConnections: Int = 4096,
    maxPerAddress: Int = .max,
    maxUnreadBytes: Int = 48 << 20,
    idleTimeout: Duration = .seconds(60), requestTimeout: Duration = .seconds(30)
  ) {
    self.maxHeadBytes = maxHeadBytes
    self.maxBodyBytes = maxBodyBytes
    self.maxConnections = maxConnections
    self.maxPerAddress = maxPerAddress
    self.maxUnreadBytes = maxUnreadBytes
    self.idleTimeout = idleTimeout
    self.requestTimeout = requestTimeout
  }
}

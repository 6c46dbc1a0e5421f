/// What clients of a ``HTTPListener`` may cost it.
public struct HTTPServerLimits: Sendable {
  /// Request line and headers together.
  public var maxHeadBytes = 16 << 10
  /// A longer body is answered 413.
  public var maxBodyBytes = 64 << 10
  /// At this many connections those go that have been quiet longest, for more than a second. While there are none, no
  /// more are accepted until one goes; they wait in the system's backlog.
  public var maxConnections = 4096
  /// When an address has more connections, a quarter of them end, those first that have waited longest for their client;
  /// up to a sixteenth more, because they are counted now and then. The rest is for other addresses.
  public var maxPerAddress = Int.max
  /// Bytes of answers that clients have not read, in all. Beyond it those connections end that have waited longest for
  /// their client to read. A connection has at most one answer: its next request is read when the client has that one.
  public var maxUnreadBytes = 48 << 20
  /// How long a connection may be silent, between requests and within one. Waiting for the handler does not count.
  public var idleTimeout = Duration.seconds(60)
  /// How long a request may take from its first byte to its last; a slower one is answered 408. Up to a quarter more,
  /// because it is looked for now and then.
  public var requestTimeout = Duration.seconds(30)

  /// 16 KiB, 64 KiB, 4,096 connections (any number from one address), 48 MiB, 60 s and 30 s; but for what `change` sets.
  public init(_ change: (inout HTTPServerLimits) -> Void = { _ in }) { change(&self) }
}

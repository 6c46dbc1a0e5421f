/// Intervals and amounts of one client; the defaults suit thousands of services per host.
public struct ZooKeeperLimits: Hashable, Sendable {
  /// How often a watched directory and an own node are looked at although no watch fired, on average
  /// (each time between half and one and a half of it). Shorter finds a lost watch sooner and costs one
  /// request per directory and node each time.
  public var reconcileInterval: Duration = .seconds(300)
  /// Interval for what is beyond ``watchBytes`` and has no watch. This is how late its changes are seen.
  public var unwatchedInterval: Duration = .seconds(60)
  /// Bytes of paths that may be watched at a time. libzookeeper sends them all in one packet when it
  /// reconnects; above the server's `jute.maxbuffer` (0xfffff bytes) it could never reconnect.
  public var watchBytes = 0xc0000
  /// Reads for watches on their way at a time; more wait in line.
  public var maximumReads = 256
  /// The longest random wait before a new session replaces an expired one, so that a fleet that expired
  /// at one moment does not come back at one moment. Adds to the time without registrations.
  public var newSessionDelay: Duration = .milliseconds(500)
  /// The longest random wait of a reader that is connected again, before it reads what it follows: a fleet that comes back
  /// at one moment does not read at one moment. A reader of few paths waits less, half a millisecond for each.
  public var reconnectSpread: Duration = .milliseconds(500)
  /// How often the servers' names are looked up, and those that did not serve tried again, while there is a connection, on
  /// average.
  public var serverInterval: Duration = .seconds(60)

  /// Creates limits with their defaults.
  public init() {}
}

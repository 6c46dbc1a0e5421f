/// One server of a service as DNS names it: an SRV record (RFC 2782).
public struct ServiceRecord: Hashable, Sendable {
  /// The server's name, to be looked up itself; without a final dot.
  public var host: String
  /// The port it listens on.
  public var port: Int
  /// Servers with the lowest priority are used while there are any.
  public var priority = 0
  /// Its share among servers of the same priority.
  public var weight = 0
}

/// What `show info` says about the process.
public struct ProxyInfo: Hashable, Sendable {
  /// HAProxy's version, for example `2.6.12-1+deb12u4`.
  public var version: String
  /// The worker's process id.
  public var pid: Int
  /// When the process began, in whole seconds since 1970, before it read its file; nil before HAProxy 2.5.
  public var startedAt: Int?
  /// `Maxsock`: the descriptors that it has counted on.
  public var maxSockets: Int?
  /// `Hard_maxconn`: the connections that it has counted on.
  public var maxConnections: Int?

  /// Reads the answer to `show info`.
  public init(parsing reply: String) throws(HAProxyRuntimeError) {
    var values: [Substring: Substring] = [:]
    for line in reply.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      values[line[..<colon]] = line[line.index(after: colon)...].drop { $0 == " " }
    }
    guard let version = values["Version"], let pid = values["Pid"].flatMap({ Int($0) }) else {
      throw .malformed(command: "show info", reason: "no line `Version:` or no line `Pid:`")
    }
    self.version = String(version)
    self.pid = pid
    startedAt = values["Start_time_sec"].flatMap { Int($0) }
    maxSockets = values["Maxsock"].flatMap { Int($0) }
    maxConnections = values["Hard_maxconn"].flatMap { Int($0) }
  }

  /// Whether `other` tells of the same process: in a container a restarted HAProxy has the pid of the one before.
  public func isSameProcess(as other: ProxyInfo) -> Bool { pid == other.pid && startedAt == other.startedAt }
}

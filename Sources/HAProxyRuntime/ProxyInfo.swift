/// What `show info` says about the process.
public struct ProxyInfo: Hashable, Sendable {
  /// For example `2.6.12-1+deb12u4`.
  public var version: String
  /// The worker's process id: another one means a reload or a restart.
  public var pid: Int
  /// Seconds since 1970 at which the worker started; nil before HAProxy 2.6.
  public var startTime: Int?
  /// Since the worker started.
  public var uptimeSeconds: Int

  /// Values as HAProxy would give them.
  public init(version: String, pid: Int, startTime: Int? = nil, uptimeSeconds: Int = 0) {
    self.version = version
    self.pid = pid
    self.startTime = startTime
    self.uptimeSeconds = uptimeSeconds
  }

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
    self.init(
      version: String(version), pid: pid, startTime: values["Start_time_sec"].flatMap { Int($0) },
      uptimeSeconds: values["Uptime_sec"].flatMap { Int($0) } ?? 0)
  }

  /// The version's leading numbers, for comparisons: `[2, 6, 12]`.
  public var versionNumbers: [Int] {
    version.prefix { $0 == "." || $0.isASCII && $0.isNumber }.split(separator: ".").compactMap { Int($0) }
  }
}

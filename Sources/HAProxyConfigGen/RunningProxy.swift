/// HAProxy's version, as `show info` reports it.
public struct HAProxyVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The major version, 2 in 2.6.12.
  public var major: Int
  /// The minor version, 6 in 2.6.12.
  public var minor: Int
  /// 12 in 2.6.12; 0 for development versions.
  public var patch: Int

  /// Creates a version of three numbers.
  public init(_ major: Int, _ minor: Int, _ patch: Int = 0) {
    self.major = major
    self.minor = minor
    self.patch = patch
  }

  /// Reads `2.6.12-1+deb12u4`, `3.0-dev5` and their like.
  public init?(_ text: String) {
    let numbers = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }.split(separator: ".").map { Int($0) ?? 0 }
    guard numbers.count >= 2 else { return nil }
    self.init(numbers[0], numbers[1], numbers.count > 2 ? numbers[2] : 0)
  }

  /// Orders older versions before newer ones.
  public static func < (a: HAProxyVersion, b: HAProxyVersion) -> Bool {
    (a.major, a.minor, a.patch) < (b.major, b.minor, b.patch)
  }

  /// The version as text: `2.6.12`.
  public var description: String { "\(major).\(minor).\(patch)" }

  /// `add server` without experimental mode.
  var addsServers: Bool { self >= HAProxyVersion(2, 6) }

  /// `del server` without the crashes of the first releases that had it.
  var deletesServers: Bool {
    major == 2 && minor == 6 ? patch >= 13 : self >= HAProxyVersion(2, 8)
  }

  /// `add server … cookie VALUE`.
  var addsCookies: Bool { self >= HAProxyVersion(3, 0) }
}

/// What one HAProxy process has in memory, as its stats socket tells: the planner's left-hand side.
public struct RunningProxy: Hashable, Sendable {
  /// The version that `show info` reports.
  public var version: HAProxyVersion
  /// Every backend by name, also those without servers (`show servers state` omits them; `show backend` has them).
  public var backends: [String: RunningBackend]

  /// Creates a process with its backends.
  public init(version: HAProxyVersion, backends: [String: RunningBackend]) {
    self.version = version
    self.backends = backends
  }
}

/// A backend of a running HAProxy.
public struct RunningBackend: Hashable, Sendable {
  /// Its servers by name.
  public var servers: [String: RunningServer]

  /// Creates a backend with its servers.
  public init(servers: [String: RunningServer] = [:]) { self.servers = servers }
}

/// A server of a running HAProxy; the fields are columns of `show servers state`.
public struct RunningServer: Hashable, Sendable {
  /// The server's id, `srv_id`.
  public var id: Int
  /// `srv_addr`, without brackets; nil for `-`.
  public var address: String?
  /// The server's port, `srv_port`.
  public var port: Int
  /// The server's weight, `srv_uweight`, 0...256.
  public var weight: Int
  /// The operator's state, `srv_admin_state`.
  public var adminState: AdminState
  /// The health check's state, `srv_check_state`.
  public var checkState: CheckState
  /// The agent check's state, `srv_agent_state`.
  public var agentState: CheckState

  /// Creates a server of the running HAProxy.
  public init(
    id: Int, address: String?, port: Int, weight: Int = 1, adminState: AdminState = [], checkState: CheckState = [],
    agentState: CheckState = []
  ) {
    self.id = id
    self.address = address
    self.port = port
    self.weight = weight
    self.adminState = adminState
    self.checkState = checkState
    self.agentState = agentState
  }
}

/// The bits of `srv_admin_state`.
public struct AdminState: OptionSet, Hashable, Sendable {
  /// The number as HAProxy prints it.
  public let rawValue: Int

  /// Bits from the number.
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// Put into maintenance by command, or by `disabled` in the file.
  public static let forcedMaintenance = AdminState(rawValue: 0x01)
  /// In maintenance because a tracked server is.
  public static let inheritedMaintenance = AdminState(rawValue: 0x02)
  /// `disabled` in the file.
  public static let configuredMaintenance = AdminState(rawValue: 0x04)
  /// Put into drain by command.
  public static let forcedDrain = AdminState(rawValue: 0x08)
  /// Draining because a tracked server is.
  public static let inheritedDrain = AdminState(rawValue: 0x10)
  /// Its name does not resolve.
  public static let unresolved = AdminState(rawValue: 0x20)
}

/// The bits of `srv_check_state` and `srv_agent_state`.
public struct CheckState: OptionSet, Hashable, Sendable {
  /// The number as HAProxy prints it.
  public let rawValue: Int

  /// Bits from the number.
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// A check is under way.
  public static let inProgress = CheckState(rawValue: 0x01)
  /// The server's line asks for checks.
  public static let configured = CheckState(rawValue: 0x02)
  /// Checks are switched on.
  public static let enabled = CheckState(rawValue: 0x04)
  /// Checks rest because of maintenance.
  public static let paused = CheckState(rawValue: 0x08)
}

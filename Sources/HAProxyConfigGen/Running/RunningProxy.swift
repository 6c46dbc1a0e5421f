/// What one HAProxy process has in memory, as its stats socket tells: the planner's left-hand side.
public struct RunningProxy: Hashable, Sendable {
  /// HAProxy's version, from `show info`.
  public var version: HAProxyVersion
  /// The servers by name of every backend, also of those without any (`show servers state` omits them; `show stat`
  /// has them).
  public var backends: [String: [String: RunningServer]]
  /// Frontends that take no connections since `disable frontend`.
  public var pausedFrontends: Set<String> = []
  /// Frontends that take no connections since `shutdown frontend`; only a reload opens them again.
  public var stoppedFrontends: Set<String> = []

  /// A process with these backends.
  public init(version: HAProxyVersion, backends: [String: [String: RunningServer]]) {
    self.version = version
    self.backends = backends
  }

  /// The number of servers with checks, each of which takes a descriptor.
  public var checkedServers: Int {
    backends.values.reduce(0) { $0 + $1.values.count { $0.checkState.contains(.configured) } }
  }

  /// Finds servers that their agents have put to rest: nobody else has, since the process was observed before.
  public mutating func recordAgents(since before: RunningProxy) {
    for (backend, servers) in backends {
      for (name, server) in servers where server.isResting && server.agentState.contains(.configured) {
        guard let known = before.backends[backend]?[name], !known.isResting || known.restsByAgent else { continue }
        backends[backend]?[name]?.restsByAgent = true
      }
    }
  }
}

/// A server of a running HAProxy; the fields are columns of `show servers state`. There may be a hundred thousand, so that
/// numbers take no more bytes than they need.
public struct RunningServer: Hashable, Sendable {
  private var shortID: Int32
  private var shortPort: Int32
  private var shortWeight: Int32
  /// The column `srv_addr`, without brackets; nil for `-`.
  public var address: String?
  /// The column `srv_admin_state`: maintenance and drain.
  public var adminState: AdminState
  /// The column `srv_check_state`: health checks.
  public var checkState: CheckState
  /// The column `srv_agent_state`: agent checks.
  public var agentState: CheckState
  /// Whether it is in maintenance or drain by the word of its agent, which has to end that, too.
  public var restsByAgent = false

  /// The column `srv_id`: the server's id.
  public var id: Int {
    get { Int(shortID) }
    set { shortID = Int32(clamping: newValue) }
  }
  /// The column `srv_port`: the server's port.
  public var port: Int {
    get { Int(shortPort) }
    set { shortPort = Int32(clamping: newValue) }
  }
  /// The column `srv_uweight`: 0...256.
  public var weight: Int {
    get { Int(shortWeight) }
    set { shortWeight = Int32(clamping: newValue) }
  }

  /// Whether it is in maintenance or drain by a command or by its agent, which are one to HAProxy.
  var isResting: Bool { !adminState.isDisjoint(with: [.forcedMaintenance, .forcedDrain]) }

  /// Whether no command and no line keeps it from taking traffic.
  public var isInService: Bool {
    adminState.isDisjoint(with: [.forcedMaintenance, .inheritedMaintenance])
  }

  /// A server as `show servers state` tells it.
  public init(
    id: Int, address: String?, port: Int, weight: Int = 1, adminState: AdminState = [], checkState: CheckState = [],
    agentState: CheckState = []
  ) {
    (shortID, shortPort, shortWeight) = (Int32(clamping: id), Int32(clamping: port), Int32(clamping: weight))
    self.address = address
    self.adminState = adminState
    self.checkState = checkState
    self.agentState = agentState
  }
}

/// The bits of `srv_admin_state`.
public struct AdminState: OptionSet, Hashable, Sendable {
  /// The number as HAProxy prints it.
  public let rawValue: UInt8

  /// Bits from the number.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

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
  public let rawValue: UInt8

  /// Bits from the number.
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// The server's line asks for checks.
  public static let configured = CheckState(rawValue: 0x02)
  /// Checks are switched on.
  public static let enabled = CheckState(rawValue: 0x04)
  /// Checks rest because of maintenance.
  public static let paused = CheckState(rawValue: 0x08)
}

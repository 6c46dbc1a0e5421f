/// One server of the running process, from `show servers state`.
public struct ServerState: Hashable, Sendable {
  /// Why a server gets no traffic by an operator's or a file's word; bits of `srv_admin_state`.
  public struct Administration: OptionSet, Hashable, Sendable {
    /// The bits as HAProxy numbers them.
    public let rawValue: Int
    /// The bits as HAProxy numbers them.
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// `set server … state maint`.
    public static let forcedMaintenance = Self(rawValue: 0x01)
    /// Follows a tracked server's maintenance.
    public static let inheritedMaintenance = Self(rawValue: 0x02)
    /// `disabled` in the file. Only a memory of it: what counts is ``forcedMaintenance``, set along with it.
    public static let configuredMaintenance = Self(rawValue: 0x04)
    /// `set server … state drain`.
    public static let forcedDrain = Self(rawValue: 0x08)
    /// Follows a tracked server's drain.
    public static let inheritedDrain = Self(rawValue: 0x10)
    /// Its name does not resolve.
    public static let resolutionMaintenance = Self(rawValue: 0x20)

    /// Whether one of the kinds of maintenance is on.
    public var isMaintenance: Bool {
      !isDisjoint(with: [.forcedMaintenance, .inheritedMaintenance, .resolutionMaintenance])
    }

    /// Whether one of the kinds of drain is on.
    public var isDrain: Bool { !isDisjoint(with: [.forcedDrain, .inheritedDrain]) }
  }

  /// The backend it belongs to.
  public var backend: String
  /// Its name.
  public var name: String
  /// Its `id`.
  public var id: Int
  /// Whether the file (or `add server`) gave the id, rather than HAProxy.
  public var hasForcedID: Bool
  /// Numeric address; empty if its name has not been resolved.
  public var address: String
  /// The port, 0 if there is none.
  public var port: Int
  /// Maintenance and drain.
  public var administration: Administration
  /// 0 stopped, 1 starting, 2 running, 3 stopping.
  public var operation: Int
  /// The weight now.
  public var weight: Int
  /// The weight the file gave.
  public var initialWeight: Int
  /// Bits of `srv_check_state`: 1 a check is under way, 2 the server has one, 4 it is on, 8 it rests.
  public var checkState: Int
  /// The same of the agent check.
  public var agentState: Int

  /// Values as HAProxy would give them.
  public init(
    backend: String, name: String, id: Int, hasForcedID: Bool = true, address: String, port: Int,
    administration: Administration = [], operation: Int = 2, weight: Int = 1, initialWeight: Int = 1,
    checkState: Int = 0, agentState: Int = 0
  ) {
    self.backend = backend
    self.name = name
    self.id = id
    self.hasForcedID = hasForcedID
    self.address = address
    self.port = port
    self.administration = administration
    self.operation = operation
    self.weight = weight
    self.initialWeight = initialWeight
    self.checkState = checkState
    self.agentState = agentState
  }
}

/// All servers of the running process.
public enum ServerStates {
  private static let required = [
    "be_name", "srv_name", "srv_id", "srv_addr", "srv_op_state", "srv_admin_state", "srv_uweight", "srv_port",
  ]

  /// Reads the answer to `show servers state`. A record that is no server is left out.
  /// - Returns: in HAProxy's order.
  public static func parse(_ reply: String) throws(HAProxyRuntimeError) -> [ServerState] {
    var servers: [ServerState] = []
    let missing = ReplyTable.walk(reply, .blanks, required: required) { row in
      if let server = server(row) { servers.append(server) }
    }
    // A process without any backend prints the version alone.
    if !missing.isEmpty, !reply.allSatisfy({ $0.isNumber || $0.isNewline }) {
      throw .malformed(command: "show servers state", reason: "no column \(missing.joined(separator: ", "))")
    }
    return servers
  }

  private static func server(_ row: ReplyTable.Row) -> ServerState? {
    guard let backend = row.text("be_name"), let name = row.text("srv_name"), let id = row.number("srv_id"),
      let address = row.text("srv_addr"), let port = row.number("srv_port"),
      let operation = row.number("srv_op_state"), let administration = row.number("srv_admin_state"),
      let weight = row.number("srv_uweight")
    else { return nil }
    return ServerState(
      backend: backend, name: name, id: id, hasForcedID: row.number("srv_f_forced_id") != 0,
      address: address == "-" ? "" : address, port: port,
      administration: ServerState.Administration(rawValue: administration), operation: operation, weight: weight,
      initialWeight: row.number("srv_iweight") ?? weight, checkState: row.number("srv_check_state") ?? 0,
      agentState: row.number("srv_agent_state") ?? 0)
  }
}

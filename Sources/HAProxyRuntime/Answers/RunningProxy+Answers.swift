public import HAProxyConfigGen

extension RunningProxy {
  /// Reads what one process has, from its answers at one moment.
  /// - Parameters:
  ///   - info: the answer to `show info`, read.
  ///   - sections: the answer to `show stat`, which has the backends without servers too.
  ///   - servers: the answer to `show servers state`.
  public init(info: ProxyInfo, sections: String, servers: String) throws(HAProxyRuntimeError) {
    var backends: [String: [String: RunningServer]] = [:]
    let missing = ReplyRow.walk(sections, isCSV: true, required: ["pxname", "svname"]) { row in
      if let proxy = row.text("pxname"), row.text("svname") == "BACKEND" { backends[proxy] = [:] }
    }
    if !missing.isEmpty {
      throw .malformed(command: "show stat", reason: "no column \(missing.joined(separator: ", "))")
    }
    backends.merge(try RunningProxy.backends(in: servers)) { $1 }
    self.init(version: HAProxyVersion(info.version) ?? HAProxyVersion(0, 0), backends: backends)
    (pausedFrontends, stoppedFrontends) = RunningProxy.closedFrontends(in: sections)
  }

  /// Reads the answer to `show stat`, which has frontends.
  /// - Returns: the names of those that `disable frontend` has closed, and of those that `shutdown frontend` has.
  static func closedFrontends(in reply: String) -> (paused: Set<String>, stopped: Set<String>) {
    var closed: (paused: Set<String>, stopped: Set<String>) = ([], [])
    _ = ReplyRow.walk(reply, isCSV: true, required: ["pxname", "svname", "status"]) { row in
      guard row.text("svname") == "FRONTEND", let name = row.text("pxname"), let status = row.text("status") else {
        return
      }
      if status == "PAUSED" { closed.paused.insert(name) }
      if status == "STOP" { closed.stopped.insert(name) }
    }
    return closed
  }

  /// Reads the answer to `show servers state`, which has backends with servers only. A record that is not a server is
  /// skipped.
  public static func backends(in reply: String) throws(HAProxyRuntimeError) -> [String: [String: RunningServer]] {
    let required = [
      "be_name", "srv_name", "srv_id", "srv_addr", "srv_op_state", "srv_admin_state", "srv_uweight", "srv_port",
    ]
    var backends: [String: [String: RunningServer]] = [:]
    let missing = ReplyRow.walk(reply, isCSV: false, required: required) { row in
      guard let backend = row.text("be_name"), let name = row.text("srv_name"), let server = RunningServer(row) else {
        return
      }
      backends[backend, default: [:]][name] = server
    }
    // A process without any backend prints the version alone.
    if !missing.isEmpty, !reply.allSatisfy({ $0.isNumber || $0.isNewline }) {
      throw .malformed(command: "show servers state", reason: "no column \(missing.joined(separator: ", "))")
    }
    return backends
  }
}

extension RunningServer {
  /// Reads one record of `show servers state`; nil when it is not a server.
  init?(_ row: ReplyRow) {
    guard let id = row.number("srv_id"), let address = row.text("srv_addr"), let port = row.number("srv_port"),
      row.number("srv_op_state") != nil, let administration = row.number("srv_admin_state"),
      let weight = row.number("srv_uweight")
    else { return nil }
    self.init(
      id: id, address: address == "-" || address.isEmpty ? nil : address, port: port, weight: weight,
      adminState: AdminState(rawValue: UInt8(truncatingIfNeeded: administration)),
      checkState: CheckState(rawValue: UInt8(truncatingIfNeeded: row.number("srv_check_state") ?? 0)),
      agentState: CheckState(rawValue: UInt8(truncatingIfNeeded: row.number("srv_agent_state") ?? 0)))
  }
}

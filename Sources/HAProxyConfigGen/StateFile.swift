internal import SmartStack

/// The state file's format: per service an object of server name → `timestamp`, `haproxy_server_id` and the
/// backend's fields, plus the service's `haproxy` section under `watcher_config_for_generator`.
private let configurationKey = "watcher_config_for_generator"

extension ServerMemory {
  /// Reads upstream's state file. Entries that make no sense, or an unreadable file, are forgotten servers
  /// and no more than that: everything in it can be learned again.
  public init(stateFile bytes: [UInt8]) {
    self.init()
    guard let services = JSONValue(parsing: bytes)?.object else { return }
    var admission = Admission()
    for service in services {
      for member in service.value.object ?? [] where member.key != configurationKey {
        guard let backend = Backend(stateEntry: member.value), backend.serverName == member.key,
          admission.admits(backend)
        else { continue }
        let id = member.value["haproxy_server_id"]?.int
        restore(
          backend, id: id.flatMap { (1...2_147_483_647).contains($0) ? $0 : nil },
          lastSeen: member.value["timestamp"]?.int ?? 0, service: service.key)
      }
    }
  }

  /// - Parameter configurations: the `haproxy` section of every service that is configured, as JSON.
  func stateFile(configurations: [String: JSONValue]) -> [UInt8] {
    var text = "{"
    for (index, service) in Set(services.keys).union(configurations.keys).sorted().enumerated() {
      text += index == 0 ? "\n  " : ",\n  "
      JSONValue.write(service, into: &text)
      text += ": {"
      var separator = "\n    "
      for (name, entry) in entries(of: service) {
        text += separator
        separator = ",\n    "
        JSONValue.write(name, into: &text)
        text += ": "
        entry.write(into: &text)
      }
      if let configuration = configurations[service] {
        text += separator
        JSONValue.write(configurationKey, into: &text)
        text += ": "
        configuration.write(into: &text)
      }
      text += "\n  }"
    }
    return Array((text + "\n}\n").utf8)
  }
}

extension ServerMemory.Entry {
  fileprivate func write(into text: inout String) {
    text += "{\"timestamp\": \(lastSeen)"
    if let id { text += ", \"haproxy_server_id\": \(id)" }
    ServerMemory.Entry.write("name", backend.name, into: &text)
    ServerMemory.Entry.write("host", backend.host, into: &text)
    text += ", \"port\": \(backend.port)"
    text += ", \"id\": " + (backend.id.map(String.init) ?? "null")
    text += ", \"weight\": " + (backend.weight.map(String.init) ?? "null")
    ServerMemory.Entry.write("haproxy_server_options", backend.haproxyServerOptions, into: &text)
    text += ", \"labels\": " + (backend.labels?.json ?? "null") + "}"
  }

  private static func write(_ key: String, _ value: String?, into text: inout String) {
    text += ", \""
    text += key
    text += "\": "
    if let value { JSONValue.write(value, into: &text) } else { text += "null" }
  }
}

extension Backend {
  fileprivate init?(stateEntry entry: JSONValue) {
    guard let host = entry["host"]?.string, let port = entry["port"]?.int ?? entry["port"]?.string.flatMap({ Int($0) })
    else { return nil }
    let labels = entry["labels"]?.object.map { members in
      members.reduce(into: Labels()) { $0[$1.key] = $1.value.labelValue }
    }
    self.init(
      name: entry["name"]?.string, host: host, port: port, id: entry["id"]?.int, weight: entry["weight"]?.int,
      haproxyServerOptions: entry["haproxy_server_options"]?.string,
      labels: labels)
  }
}

extension ServiceSettings {
  /// The section as upstream writes it down: its defaults, overridden by what was configured.
  var stateJSON: JSONValue {
    let configured = source.flatMap { JSONValue(parsing: Array($0.utf8)) }?.object ?? []
    var members = [
      JSONMember(key: "server_options", value: .string("")), JSONMember(key: "server_port_override", value: .null),
      JSONMember(key: "backend", value: .array([])), JSONMember(key: "frontend", value: .array([])),
      JSONMember(key: "listen", value: .array([])),
    ]
    for member in configured {
      if let at = members.firstIndex(where: { $0.key == member.key }) {
        members[at] = member
      } else {
        members.append(member)
      }
    }
    return .object(members)
  }
}

extension JSONValue {
  fileprivate var labelValue: LabelValue {
    if case .string(let text) = self { return .text(text) }
    var json = ""
    write(into: &json)
    return .json(json)
  }
}

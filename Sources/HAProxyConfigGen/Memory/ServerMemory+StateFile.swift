internal import SmartStack

/// The state file's format: per service an object of server name → `timestamp`, `haproxy_server_id` and the
/// backend's fields, plus the service's `haproxy` section under `watcher_config_for_generator`.
private let configurationKey = "watcher_config_for_generator"
/// Of a backend: its ``Backend/origin`` in hexadecimal digits, so that the next agent need not read the registration first.
private let originKey = "registration"

extension ServerMemory {
  /// Reads upstream's state file, or our own. Entries that make no sense are forgotten servers and no more than that:
  /// everything in it can be learned again.
  /// - Returns: nil for what is no state file as a whole.
  public init?(stateFile bytes: [UInt8]) {
    var memory = ServerMemory()
    var validator = ServerValidator()
    var labels: Labels?
    var cursor = JSONCursor(bytes)
    let isWhole = cursor.readObject { service, cursor in
      guard cursor.peek() == UInt8(ascii: "{") else { return cursor.readCompact() != nil }
      return cursor.readObject { name, cursor in
        guard name != configurationKey, cursor.peek() == UInt8(ascii: "{") else { return cursor.readCompact() != nil }
        var entry = Entry(backend: Backend(host: "", port: 0), lastSeen: 0, order: 0, isLive: false)
        guard entry.read(&cursor) else { return false }
        // Nearly always the same for all servers of a service: one copy serves them all.
        if entry.backend.labels == labels { entry.backend.labels = labels } else { labels = entry.backend.labels }
        if entry.backend.serverName == name, validator.admits(entry.backend) { memory.restore(entry, of: service) }
        return true
      }
    }
    guard isWhole, cursor.peek() == nil else { return nil }
    self = memory
  }

  /// - Parameter configurations: the `haproxy` section of every service that is configured, as JSON.
  /// - Returns: its parts, one per service, made when they are asked for: with thousands of servers the whole is long.
  func stateFile(configurations: [String: String], now: Int) -> some Sequence<[UInt8]> {
    let names = Set(services.keys).union(configurations.keys).sorted()
    return (0...names.count).lazy.map { index in
      var text = index == 0 ? "{" : ""
      if index == names.count {
        text += "\n}\n"
      } else {
        text += index == 0 ? "\n  " : ",\n  "
        write(names[index], configuration: configurations[names[index]], into: &text, now: now)
      }
      return Array(text.utf8)
    }
  }

  private func write(_ service: String, configuration: String?, into text: inout String, now: Int) {
    text += JSONText.quoted(service) + ": {"
    var separator = "\n    "
    for (name, entry) in entries(of: service) {
      text += separator + JSONText.quoted(name) + ": "
      separator = ",\n    "
      entry.write(into: &text, now: now)
    }
    if let configuration { text += separator + JSONText.quoted(configurationKey) + ": " + configuration }
    text += "\n  }"
  }
}

extension ServerMemory.Entry {
  /// Reads a server of the state file, its fields as far as they are of the right kind.
  /// - Returns: false when it is not JSON.
  fileprivate mutating func read(_ cursor: inout JSONCursor) -> Bool {
    var origin: UInt64?
    // What is set later would make it another registration's.
    defer { backend.origin = origin }
    return cursor.readObject { key, cursor in
      if key == "labels", cursor.peek() == UInt8(ascii: "{") {
        backend.labels = cursor.readLabels()
        return backend.labels != nil
      }
      if cursor.peek() == UInt8(ascii: "\"") {
        guard let text = cursor.readString() else { return false }
        if key == originKey { origin = UInt64(text, radix: 16) } else { set(key, to: text) }
        return true
      }
      guard let text = cursor.readCompact() else { return false }
      if key == "is_gone" { wasLive = text != "true" }
      if let number = Int(text) { set(key, to: number) }
      return true
    }
  }

  private mutating func set(_ key: String, to text: String) {
    switch key {
    case "name": backend.name = text
    case "host": backend.host = text
    case "port": backend.port = Int(text) ?? 0
    case "haproxy_server_options": backend.haproxyServerOptions = text
    default: break
    }
  }

  private mutating func set(_ key: String, to number: Int) {
    switch key {
    case "timestamp": lastSeen = number
    case "haproxy_server_id": id = (1...2_147_483_647).contains(number) ? number : nil
    case "port": backend.port = number
    case "id": backend.id = number
    case "weight": backend.weight = number >= 0 ? number : nil
    default: break
    }
  }

  fileprivate func write(into text: inout String, now: Int) {
    text += "{\"timestamp\": \(isLive ? now : lastSeen)"
    if !isLive, !wasLive { text += ", \"is_gone\": true" }
    if let id { text += ", \"haproxy_server_id\": \(id)" }
    text += ", \"name\": " + (backend.name.map(JSONText.quoted) ?? "null")
    text += ", \"host\": " + JSONText.quoted(backend.host)
    text += ", \"port\": \(backend.port)"
    text += ", \"id\": " + (backend.id.map(String.init) ?? "null")
    text += ", \"weight\": " + (backend.weight.map(String.init) ?? "null")
    text += ", \"haproxy_server_options\": " + (backend.haproxyServerOptions.map(JSONText.quoted) ?? "null")
    text += ", \"labels\": " + (backend.labels?.json ?? "null")
    if let origin = backend.origin { text += ", \"\(originKey)\": \"\(String(origin, radix: 16))\"" }
    text += "}"
  }
}

extension ServiceSettings {
  /// The section as upstream writes it down, as JSON: its defaults, overridden by what was configured.
  var stateJSON: String {
    var members: [(key: String, json: String)] = [
      ("server_options", "\"\""), ("server_port_override", "null"), ("backend", "[]"), ("frontend", "[]"),
      ("listen", "[]"),
    ]
    var cursor = JSONCursor(Array((source ?? "{}").utf8))
    _ = cursor.readObject { key, cursor in
      guard let json = cursor.readCompact() else { return false }
      if let at = members.firstIndex(where: { $0.key == key }) {
        members[at].json = json
      } else {
        members.append((key, json))
      }
      return true
    }
    return "{" + members.map { JSONText.quoted($0.key) + ": " + $0.json }.joined(separator: ", ") + "}"
  }
}

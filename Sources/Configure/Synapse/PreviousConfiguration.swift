internal import HAProxyConfigGen
internal import SmartStack

/// The current synapse.conf.json, with what services can keep of it.
struct PreviousConfiguration {
  private let services: JSONObject
  /// Lines of `haproxy.global` that plugins of its services added.
  let pluginGlobals: [String]
  /// The plugins' lines of `haproxy.defaults`.
  let pluginDefaults: [String]

  /// nil for what is no such file.
  init?(_ bytes: [UInt8]) {
    guard let root = JSONValue(bytes), let services = root["services"]?.object else { return nil }
    self.services = services
    func lines(of section: String, prefixes: [String]) -> [String] {
      let all = root["haproxy"]?[section]?.array?.compactMap(\.string) ?? []
      return all.filter { line in prefixes.contains { line.hasPrefix($0) } }
    }
    pluginGlobals = lines(of: "global", prefixes: ["lua-load ", "setenv sample_rate "])
    pluginDefaults = lines(of: "defaults", prefixes: ["timeout tarpit "])
  }

  /// Where its services listen, by their sections in HAProxy's file.
  func listening(at defaultAddress: String) -> [String: Set<ListenAddress>] {
    var listening: [String: Set<ListenAddress>] = [:]
    for (name, service) in services.members {
      guard let haproxy = service["haproxy"], let port = haproxy["port"], port != .null else { continue }
      let address = haproxy["bind_address"]?.string ?? defaultAddress
      let bind = "\(address):\(port.string ?? port.text())"
      listening["frontend \(name)"] = Set(ListenAddress.all(inBind: bind))
    }
    return listening
  }

  /// The entries of a service's namespaces, or of one namespace.
  /// - Parameters:
  ///   - owner: the service, or the namespace with its service.
  ///   - names: all services there are: an entry belongs to the one with the longest name.
  func services(of owner: String, among names: [String]) -> [(name: String, value: JSONValue)] {
    let longer = names.filter { $0.hasPrefix(owner + ".") }
    return services.members.filter { name, _ in
      (name == owner || name.hasPrefix(owner + ".")) && !longer.contains { name.hasPrefix($0 + ".") }
    }.map { ($0.key, $0.value) }
  }
}

internal import SmartStack
internal import YAMLConfig

/// The keys that HAProxy's file is made of.
extension SmartStackReader {
  /// HAProxy's times are 31 bits of milliseconds.
  private static let milliseconds = 0...Int(Int32.max)

  mutating func readTraffic() {
    readTimeouts()
    namespace.retries = read(.retries, nullIsAbsent: true) { (node) throws(ConfigError) in
      try node.truncatedNumber(in: 0...1_000_000)
    }
    readBalance()
    namespace.keepsAlive = isTrue(.keepalive)
    namespace.headers = readHeaders(.extraHeaders)
    readEndpoints()
    namespace.isProxy = isTrue(.isProxy)
    namespace.proxiedThrough = read(.proxiedThrough, nullIsAbsent: true) {
      (node) throws(ConfigError) -> (target: String, node: YAMLNode) in
      let target = try node.string()
      guard ProxyText.isName(target) else { throw node.error("'\(target)' is not the name of a service's namespace") }
      return (target, node)
    }
  }

  /// Another algorithm costs the value alone, which upstream drops without a word.
  private mutating func readBalance() {
    guard let given = value(.balance), !given.isNull else { return }
    if case .scalar(let scalar) = given.value, ["leastconn", "roundrobin"].contains(scalar.text) {
      namespace.balance = scalar.text
    } else {
      note(given.error("expected leastconn or roundrobin, found \(given.summary)"), at: .balance, skippedBy: nil)
    }
  }

  /// One of client and server alone sets both; a null is no time-out, but does not take the other's.
  private mutating func readTimeouts() {
    let milliseconds = { (node: YAMLNode) throws(ConfigError) -> Int in
      try node.truncatedNumber(in: SmartStackReader.milliseconds)
    }
    let client = read(.timeoutClient, nullIsAbsent: true, as: milliseconds)
    let server = read(.timeoutServer, nullIsAbsent: true, as: milliseconds)
    let both = client == nil && server == nil ? nil : max(client ?? 0, server ?? 0)
    namespace.timeouts = (
      connect: read(.timeoutConnect, nullIsAbsent: true, as: milliseconds),
      client: value(.timeoutClient) == nil ? both : client, server: value(.timeoutServer) == nil ? both : server
    )
  }

  mutating func readHeaders(_ key: SmartStackKey) -> [SmartStackNamespace.Header] {
    entries(key).compactMap { entry in
      read(entry.value, of: key) { (node) throws(ConfigError) in
        guard entry.name.isHeaderName else { throw node.error("'\(entry.name)' is not a header's name") }
        guard case .scalar(let scalar) = node.value else {
          throw node.error("expected a header's value, found \(node.summary)")
        }
        let value = scalar.pythonText
        if !value.isOneLine { throw node.error("a header's value is one line without control characters") }
        return SmartStackNamespace.Header(name: entry.name, value: value, json: node.jsonValue())
      }
    }
  }

  /// Each is a backend in every proxy.
  private static let longestEndpointList = 1000

  private mutating func readEndpoints() {
    let entries = entries(.endpointTimeouts)
    if entries.count > SmartStackReader.longestEndpointList, let given = value(.endpointTimeouts) {
      let problem = "\(entries.count) paths, and at most \(SmartStackReader.longestEndpointList) are written"
      return note(given.error(problem), at: .endpointTimeouts, skippedBy: SmartStackKey.endpointTimeouts.users)
    }
    for entry in entries {
      let others = namespace.endpoints
      let endpoint = read(entry.value, of: .endpointTimeouts) { (node) throws(ConfigError) in
        let endpoint = SmartStackNamespace.Endpoint(
          path: entry.name, serverTimeout: try node.truncatedNumber(in: SmartStackReader.milliseconds))
        guard ProxyText.isName(endpoint.suffix), !entry.name.isEmpty else {
          throw node.error(
            "the path '\(entry.name)' cannot be part of a backend's name: only letters, digits and /.:_- can")
        }
        if let other = others.first(where: { $0.suffix == endpoint.suffix }) {
          throw node.error(
            "the paths '\(other.path)' and '\(entry.name)' would share one backend, '\(endpoint.suffix)'")
        }
        return endpoint
      }
      if let endpoint { namespace.endpoints.append(endpoint) }
    }
  }

  // MARK: Chaos

  mutating func readChaos() {
    guard isTrue(.chaos) else { return }
    for entry in entries(.chaos) {
      let members = read(entry.value, of: .chaos) { (node) throws(ConfigError) in
        let name = entry.name
        guard !name.isEmpty, !name.hasPrefix("."), !name.contains("/"), name.isOneLine else {
          throw node.error("'\(name)' is not a location type")
        }
        var members: [String: (fail: SmartStackNamespace.Chaos?, delay: SmartStackNamespace.Chaos?)] = [:]
        for member in try node.entries() {
          _ = try member.value.entries()
          members[member.name] = try SmartStackReader.chaos(member.value)
        }
        return members
      }
      if let members { namespace.chaos.append((entry.name, entry.value, members)) }
    }
  }

  private static func chaos(
    _ node: YAMLNode
  ) throws(ConfigError) -> (fail: SmartStackNamespace.Chaos?, delay: SmartStackNamespace.Chaos?) {
    var fail: SmartStackNamespace.Chaos?
    switch node["fail"]?.value {
    case .scalar(let scalar) where scalar.text == "drop": fail = .drop
    case .scalar(let scalar) where scalar.text == "error_503": fail = .error503
    case nil: break
    default: fail = SmartStackNamespace.Chaos.none
    }
    guard let given = node["delay"] else { return (fail, nil) }
    guard given.isTrue else { return (fail, SmartStackNamespace.Chaos.none) }
    let time = try given.string()
    guard ProxyText.isTime(time) else { throw given.error("expected a time such as 200ms, found \(given.summary)") }
    return (fail, .delay(time))
  }

  // MARK: Plugins

  mutating func readPlugins() {
    guard let given = value(.plugins) else { return }
    let plugins = read(given, of: .plugins) { (given) throws(ConfigError) in
      _ = try given.entries()
      var plugins = (logs: false, sampleRate: String?.none, routesByPath: false, requiresSource: false)
      if let logging = try SmartStackReader.enabled("logging", in: given) {
        plugins.logs = true
        plugins.sampleRate = try logging["sample_rate"]?.sampleRate()
      }
      plugins.routesByPath = try SmartStackReader.enabled("path_based_routing", in: given) != nil
      plugins.requiresSource = try SmartStackReader.enabled("source_required", in: given) != nil
      return plugins
    }
    if let plugins { namespace.plugins = plugins }
  }

  private static func enabled(_ name: String, in plugins: YAMLNode) throws(ConfigError) -> YAMLNode? {
    guard let section = plugins[name] else { return nil }
    _ = try section.entries()
    return section["enabled"]?.isTrue == true ? section : nil
  }
}

extension YAMLNode {
  /// A share of requests, above 1 all and below 0 none, as the text that goes into HAProxy's environment.
  func sampleRate() throws(ConfigError) -> String {
    let rate = try double()
    guard case .scalar(let scalar) = value else { return "\(rate)" }
    return scalar.pythonText
  }
}

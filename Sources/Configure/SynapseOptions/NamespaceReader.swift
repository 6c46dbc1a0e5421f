internal import YAMLConfig

/// Reads one namespace. Its first mistake is thrown: a service is configured whole or not at all.
struct NamespaceReader {
  /// HAProxy's times are 31 bits of milliseconds.
  private static let milliseconds = 0...Int(Int32.max)

  /// `service.namespace`.
  let name: String
  let node: YAMLNode
  let locations: LocationLookup

  /// - Returns: nil for a namespace that wants no part in this: no `proxy_port`, or a negative one.
  func read() throws(ConfigError) -> NamespaceSettings? {
    _ = try node.entries()
    guard let listening = try listening() else { return nil }
    guard ProxyText.isName(name) else {
      throw node.error("the name '\(name)' has characters that HAProxy's names cannot have: only letters, digits, .:_-")
    }
    let (discover, advertise) = try placement()
    var result = NamespaceSettings(
      name: name, file: node.file, listening: listening, discover: discover, advertise: advertise)
    result.mode = try mode()
    result.timeouts = try timeouts()
    result.retries = try given("retries")?.truncatedNumber(in: 0...1_000_000)
    result.balance = balance()
    result.keepsAlive = isTrue("keepalive")
    result.headers = try headers("extra_headers")
    result.checkHeaders = try headers("extra_healthcheck_headers")
    result.checkURI = try checkURI()
    result.endpoints = try endpoints()
    result.chaos = try chaos()
    result.plugins = try plugins()
    result.proxiedThrough = try proxiedThrough()
    result.proxiedThroughNode = node["proxied_through"]
    result.isProxy = isTrue("is_proxy")
    return result
  }

  private func given(_ key: String) -> YAMLNode? { node[key].flatMap { $0.isNull ? nil : $0 } }

  private func isTrue(_ key: String) -> Bool { node[key]?.isTrue ?? false }

  // MARK: Where

  private func listening() throws(ConfigError) -> NamespaceSettings.Listening? {
    guard let port = node["proxy_port"] else { return nil }
    if port.isNull { return .discoveryOnly }
    guard case .scalar(let scalar) = port.value, scalar.kind == .int || scalar.kind == .float,
      let number = scalar.double
    else { throw port.error("expected a port number or null, found \(port.summary)") }
    if number < 0 { return nil }
    let value = try port.int(in: 0...65_535)
    if value == 0 {
      throw port.error("0 is no port; null gives discovery without a proxy, no proxy_port nothing at all")
    }
    return .port(value)
  }

  private func placement() throws(ConfigError) -> (discover: String, advertise: [String]) {
    var discover = "region"
    if let given = node["discover"] {
      guard case .scalar(let scalar) = given.value, scalar.kind != .null else {
        throw given.error("expected a location type, found \(given.summary)")
      }
      discover = scalar.text
    }
    var advertise = ["region"]
    if let given = node["advertise"] {
      advertise = []
      for item in try given.items() {
        if case .scalar(let scalar) = item.value, scalar.kind == .text { advertise.append(scalar.text) }
      }
    }
    let known = locations.mostSpecificFirst(advertise)
    guard known.contains(discover) else {
      let reason =
        locations.types.contains(discover)
        ? "which is not among what it advertises (\(known.joined(separator: ", ")))"
        : "which is no location type of this host (\(locations.types.joined(separator: ", ")))"
      throw (node["discover"] ?? node["advertise"] ?? node).error("it is to be discovered by '\(discover)', \(reason)")
    }
    return (discover, known)
  }

  // MARK: Traffic

  private func mode() throws(ConfigError) -> String {
    guard let given = given("mode") else { return "http" }
    let mode = try given.string()
    guard ProxyText.isName(mode) else { throw given.error("expected http, tcp or https, found \(given.summary)") }
    return mode
  }

  /// One of client and server alone sets both; a null is no time-out, but does not take the other's.
  private func timeouts() throws(ConfigError) -> NamespaceSettings.Timeouts {
    let client = try given("timeout_client_ms")?.truncatedNumber(in: NamespaceReader.milliseconds)
    let server = try given("timeout_server_ms")?.truncatedNumber(in: NamespaceReader.milliseconds)
    let both = client == nil && server == nil ? nil : max(client ?? 0, server ?? 0)
    return NamespaceSettings.Timeouts(
      connect: try given("timeout_connect_ms")?.truncatedNumber(in: NamespaceReader.milliseconds),
      client: node["timeout_client_ms"] == nil ? both : client,
      server: node["timeout_server_ms"] == nil ? both : server)
  }

  private func balance() -> String? {
    guard case .scalar(let scalar) = node["balance"]?.value else { return nil }
    return ["leastconn", "roundrobin"].contains(scalar.text) ? scalar.text : nil
  }

  private func headers(_ key: String) throws(ConfigError) -> [NamespaceSettings.Header] {
    guard let given = node[key] else { return [] }
    var headers: [NamespaceSettings.Header] = []
    for entry in try given.entries() {
      guard ProxyText.isHeaderName(entry.name) else {
        throw entry.value.error("'\(entry.name)' is no name of a header")
      }
      guard case .scalar(let scalar) = entry.value.value else {
        throw entry.value.error("expected a header's value, found \(entry.value.summary)")
      }
      let value = scalar.pythonText
      if ProxyText.hasControl(value) {
        throw entry.value.error("a header's value is one line without control characters")
      }
      headers.append(NamespaceSettings.Header(name: entry.name, value: value))
    }
    return headers
  }

  private func checkURI() throws(ConfigError) -> String {
    guard let given = node["healthcheck_uri"] else { return "/status" }
    let uri = try given.string()
    guard uri.isEmpty || ProxyText.isPlainWord(uri) else {
      throw given.error("a blank, quote, backslash or # cannot stand in a path; write it as %20, %22, %27, %5C, %23")
    }
    return uri
  }

  private func endpoints() throws(ConfigError) -> [NamespaceSettings.Endpoint] {
    guard let given = node["endpoint_timeouts"] else { return [] }
    var endpoints: [NamespaceSettings.Endpoint] = []
    for entry in try given.entries() {
      let path = entry.name
      let timeout = try entry.value.truncatedNumber(in: NamespaceReader.milliseconds)
      let endpoint = NamespaceSettings.Endpoint(path: path, serverTimeout: timeout)
      guard ProxyText.isName(endpoint.suffix), !path.isEmpty else {
        throw entry.value.error(
          "the path '\(path)' cannot be part of a backend's name: only letters, digits and /.:_- can")
      }
      if let other = endpoints.first(where: { $0.suffix == endpoint.suffix }) {
        throw entry.value.error("the paths '\(other.path)' and '\(path)' would share one backend, '\(endpoint.suffix)'")
      }
      endpoints.append(endpoint)
    }
    return endpoints
  }

  // MARK: Chaos

  /// Entries of this host's groupings; a later grouping's word counts over an earlier one's.
  private func chaos() throws(ConfigError) -> NamespaceSettings.Chaos {
    guard let given = node["chaos"], given.isTrue else { return .none }
    var fail: YAMLNode?
    var delay: YAMLNode?
    for grouping in try given.entries() {
      let here = try locations.location(ofType: grouping.name, askedBy: grouping.value)
      _ = try grouping.value.entries()
      guard let entry = grouping.value[here] else { continue }
      _ = try entry.entries()
      fail = entry["fail"] ?? fail
      delay = entry["delay"] ?? delay
    }
    switch fail?.value {
    case .scalar(let scalar) where scalar.text == "drop": return .drop
    case .scalar(let scalar) where scalar.text == "error_503": return .error503
    default: break
    }
    guard let delay, delay.isTrue else { return .none }
    let time = try delay.string()
    guard ProxyText.isTime(time) else { throw delay.error("expected a time such as 200ms, found \(delay.summary)") }
    return .delay(time)
  }

  // MARK: Plugins

  private func plugins() throws(ConfigError) -> NamespaceSettings.Plugins {
    var result = NamespaceSettings.Plugins()
    guard let given = node["plugins"] else { return result }
    _ = try given.entries()
    func plugin(_ name: String) throws(ConfigError) -> YAMLNode? {
      guard let section = given[name] else { return nil }
      _ = try section.entries()
      return section["enabled"]?.isTrue == true ? section : nil
    }
    if let logging = try plugin("logging") {
      result.logs = true
      result.sampleRate = try logging["sample_rate"].map { rate throws(ConfigError) in
        try NamespaceReader.sampleRate(rate)
      }
    }
    result.routesByPath = try plugin("path_based_routing") != nil
    result.requiresSource = try plugin("source_required") != nil
    return result
  }

  /// A share of requests, as the text that goes into HAProxy's environment.
  static func sampleRate(_ node: YAMLNode) throws(ConfigError) -> String {
    let rate = try node.double(in: 0...1)
    guard case .scalar(let scalar) = node.value else { return "\(rate)" }
    return scalar.pythonText
  }

  private func proxiedThrough() throws(ConfigError) -> String? {
    guard let given = given("proxied_through") else { return nil }
    let target = try given.string()
    guard ProxyText.isName(target) else { throw given.error("'\(target)' is no name of a service's namespace") }
    return target
  }
}

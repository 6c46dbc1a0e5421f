internal import SmartStack
internal import YAMLConfig

/// Makes synapse's services of one namespace: one per advertised location type and per path with a time-out of its
/// own. Only the one by which the service is discovered has a frontend, which chooses among them.
struct ServiceWatchers {
  let settings: SmartStackNamespace
  let inputs: SynapseInputs
  let locations: HostLocations
  /// What this host makes of the service.
  private let chaos: SmartStackNamespace.Chaos

  /// - Throws: when this host is in no grouping that the namespace's `chaos` names.
  init(_ settings: SmartStackNamespace, inputs: SynapseInputs, locations: HostLocations) throws(ConfigError) {
    (self.settings, self.inputs, self.locations) = (settings, inputs, locations)
    chaos = try locations.chaos(of: settings)
  }

  /// The services by name, and what plugins want in the shared sections.
  /// - Parameter proxy: see ``PluginLines``.
  func make(proxy: String?) throws(ConfigError) -> (
    services: [(name: String, value: JSONValue)], plugins: PluginLines?
  ) {
    var services: [(name: String, value: JSONValue)] = []
    let isProxied = settings.proxyPort != .discoveryOnly
    let plugins =
      isProxied
      ? PluginLines(
        settings, options: inputs.options, proxy: proxy, canRouteByPath: inputs.canRouteByPath) : nil
    var seen: Set<String> = []
    for (type, endpoint) in combinations {
      let name = settings.backend(ofType: type, endpoint: endpoint)
      guard seen.insert(name).inserted else { continue }
      var service = base(discovery: try discovery(type))
      service["haproxy"] = haproxy(ofType: type, endpoint: endpoint, name: name, plugins: plugins)
      services.append((name, .object(service)))
    }
    if case .port(let port) = settings.proxyPort, inputs.options.nginx != nil,
      !inputs.migration.isEnvoyOnly(settings.name)
    {
      services.append((settings.name + ".nginx_listener", nginxListener(port)))
    }
    return (services, plugins)
  }

  /// Most specific location first; within one the longest path first, so that a rule is never hidden behind a shorter
  /// one; the rest last.
  private var combinations: [(type: String, endpoint: SmartStackNamespace.Endpoint?)] {
    let sorted = settings.endpoints.sorted {
      (-$0.path.utf8.count, $0.path) < (-$1.path.utf8.count, $1.path)
    }
    return settings.advertise.flatMap { type in sorted.map { (type, $0) } + [(type, nil)] }
  }

  private func base(discovery: JSONValue) -> JSONObject {
    var service: JSONObject = ["default_servers": [], "use_previous_backends": false, "discovery": discovery]
    if inputs.options.nginx != nil { service["nginx"] = ["disabled": true] }
    return service
  }

  private func discovery(_ type: String) throws(ConfigError) -> JSONValue {
    let label = "\(type):\(try locations.line(ofType: type, in: settings))"
    let filters: JSONValue = [["label": .string(label), "value": "", "condition": "equals"]]
    if chaos == .error503 { return ["method": "base", "label_filters": filters] }
    return [
      "method": "zookeeper", "path": .string("/smartstack/global/\(settings.name)"),
      "hosts": .lines(inputs.zookeeperHosts), "label_filters": filters,
    ]
  }

  // MARK: HAProxy

  private func haproxy(
    ofType type: String, endpoint: SmartStackNamespace.Endpoint?, name: String, plugins: PluginLines?
  ) -> JSONValue {
    guard case .port(let port) = settings.proxyPort, let plugins else { return ["disabled": true] }
    var section: JSONObject = [
      "server_options": .string(settings.serverOptions(inputs.options)), "listen": [], "backend_name": .string(name),
    ]
    var backend = settings.backendLines(endpoint)
    if type == settings.discover, endpoint == nil {
      if inputs.options.listensWithHAProxy {
        section["port"] = .string(String(port))
      } else {
        section["port"] = .null
        section["bind_address"] = .string(socket)
      }
      section["frontend"] = .lines(frontend(plugins))
      append(plugins.backend, to: &backend)
      backend = plugins.backendFirst.filter { !backend.contains($0) } + backend
    }
    section["backend"] = .lines(backend)
    return .object(section)
  }

  private var socket: String { inputs.options.socketFormat.filled(["service_name": settings.name]) }
  private var proxySocket: String { inputs.options.proxySocketFormat.filled(["service_name": settings.name]) }

  private func frontend(_ plugins: PluginLines) -> [String] {
    var frontend = settings.frontendLines(inputs.options, chaos: chaos)
    if inputs.options.listensWithHAProxy { frontend.append("bind \(ProxyText.word(socket))") }
    frontend.append("bind \(ProxyText.word(proxySocket)) accept-proxy")
    append(plugins.frontend, to: &frontend)
    return frontend + choices
  }

  private func append(_ lines: [String], to section: inout [String]) {
    section += lines.filter { !section.contains($0) }
  }

  /// The backends in the order in which they get a request: the first that has a free slot.
  private var choices: [String] {
    var rules: [String] = []
    for (type, endpoint) in combinations where locations.hierarchy.mayServe(settings.discover, by: type) {
      let name = settings.backend(ofType: type, endpoint: endpoint)
      var condition = "\(name)_has_connslots"
      if let path = endpoint?.path {
        // For "/" only the path itself: everything begins with it.
        rules.append("acl \(name)_path \(path == "/" ? "path" : "path_beg") \(path)")
        condition += " \(name)_path"
      }
      rules += ["acl \(name)_has_connslots connslots(\(name)) gt 0", "use_backend \(name) if \(condition)"]
    }
    return rules
  }

  // MARK: nginx

  /// A listener that passes connections to HAProxy's socket, so that HAProxy can be reloaded behind it.
  private func nginxListener(_ port: Int) -> JSONValue {
    // A little beyond the age at which old HAProxy processes are ended, so that HAProxy is the first to close.
    var server = ["proxy_timeout 3610s"]
    let sendsProxyProtocol = inputs.options.nginx?.sendsProxyProtocol ?? false
    if sendsProxyProtocol { server.append("proxy_protocol on") }
    var nginx: JSONObject = ["mode": "tcp", "port": .int(port), "server": .lines(server)]
    // Both on one port is possible only with it. For nginx alone it would lose connections at reloads on old kernels.
    if inputs.options.listensWithHAProxy || inputs.migration.reusesPort { nginx["listen_options"] = "reuseport" }
    return [
      "default_servers": [["host": "unix", "port": .string(sendsProxyProtocol ? proxySocket : socket)]],
      "use_previous_backends": true,
      "discovery": ["method": "base"],
      "haproxy": ["disabled": true],
      "file_output": ["disabled": true],
      "nginx": .object(nginx),
    ]
  }
}

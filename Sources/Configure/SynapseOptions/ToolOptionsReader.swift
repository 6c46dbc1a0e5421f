internal import SmartStack
internal import YAMLConfig

/// Reads `synapse-tools.conf.json`. Any mistake is the host's and stops the run: there is no service to blame.
struct ToolOptionsReader {
  /// What the original has for an option that the file does not give, as YAML.
  private static let defaults = """
    bind_addr: 0.0.0.0
    listen_with_haproxy: true
    haproxy.defaults.inter: 10m
    haproxy_socket_file_path: /var/run/synapse/haproxy.sock
    haproxy_captured_req_headers: "X-B3-SpanId,X-B3-TraceId,X-B3-ParentSpanId,X-B3-Flags:10,X-B3-Sampled:10"
    haproxy_config_path: /var/run/synapse/haproxy.cfg
    haproxy_path: /usr/bin/haproxy-synapse
    haproxy_pid_file_path: /var/run/synapse/haproxy.pid
    haproxy_state_file_path: null
    haproxy_respect_allredisp: true
    haproxy_reload_cmd_fmt: "touch {haproxy_pid_file_path} && PID=$(cat {haproxy_pid_file_path}) && {haproxy_path} \
    -f {haproxy_config_path} -p {haproxy_pid_file_path} -sf $PID"
    haproxy_service_sockets_path_fmt: "/var/run/synapse/sockets/{service_name}.sock"
    haproxy_service_proxy_sockets_path_fmt: "/var/run/synapse/sockets/{service_name}.prxy"
    haproxy_restart_interval_s: 60
    file_output_path: /var/run/synapse/services
    maximum_connections: 10000
    maxconn_per_server: 50
    maxqueue_per_server: 10
    synapse_command: [service, synapse]
    zookeeper_topology_path: /nail/etc/zookeeper_discovery/infrastructure/local.yaml
    hacheck_port: 6666
    stats_port: 3212
    map_dir: /var/run/synapse/maps/
    map_refresh_interval: 5
    logging: {enabled: false}
    listen_with_nginx: false
    nginx_path: /usr/sbin/nginx
    nginx_prefix: /var/run/synapse/nginx_temp
    nginx_config_path: /var/run/synapse/nginx.cfg
    nginx_pid_file_path: /var/run/synapse/nginx.pid
    nginx_reload_script: /usr/bin/synapse-tools-reload-nginx
    nginx_proxy_proto: false
    nginx_reload_cmd_fmt: "{nginx_reload_script} {nginx_pid_file_path}"
    nginx_start_cmd_fmt: "mkdir -p {nginx_prefix} && (kill -0 $(cat {nginx_pid_file_path}) || {nginx_path} \
    -c {nginx_config_path} -p {nginx_prefix})"
    nginx_check_cmd_fmt: "{nginx_path} -t -c {nginx_config_path}"
    nginx_restart_interval_s: 600
    nginx_log_error_target: /dev/null
    nginx_log_error_level: crit
    """
  /// Options without a default.
  private static let optional: Set = [
    "config_file", "reload_cmd_fmt", "synapse_restart_command", "errorfiles", "haproxy_master_socket_path",
    "enable_map_debug", "map_debug_port", "path_based_routing",
  ]

  private let top: YAMLNode
  private var nodes: [String: YAMLNode] = [:]
  private var isGiven: Set<String> = []

  /// - Parameters:
  ///   - top: the file's top value.
  ///   - luaDirectory: where the scripts are when `lua_dir` does not say.
  init(_ top: YAMLNode, luaDirectory: String) throws(ConfigError) {
    self.top = top
    var defaults = try YAMLDocument.parse(Array(ToolOptionsReader.defaults.utf8), file: "built-in defaults").entries()
    defaults += try YAMLDocument.parse(
      Array("lua_dir: \(JSONText.quoted(luaDirectory))".utf8), file: "built-in defaults"
    ).entries()
    for entry in defaults { nodes[entry.name] = entry.value }
    for entry in try top.entries() {
      nodes[entry.name] = entry.value
      isGiven.insert(entry.name)
    }
    if let legacy = nodes["reload_cmd_fmt"] { nodes["haproxy_reload_cmd_fmt"] = legacy }
  }

  /// Reads and checks all options.
  func read() throws(ConfigError) -> ToolOptions {
    var options = ToolOptions()
    guard nodes["config_file"] != nil else {
      throw top.error("missing key 'config_file': the path of the synapse.conf.json to be written")
    }
    options.output = try line("config_file")
    options.bindAddress = try word("bind_addr")
    options.listensWithHAProxy = nodes["listen_with_haproxy"]?.isTrue ?? true
    options.listensWithNginx = nodes["listen_with_nginx"]?.isTrue ?? false
    try readProxy(into: &options)
    try readLimits(into: &options)
    try readPlugins(into: &options)
    let service: Set = ["service_name"]
    options.socketFormat = try FormatText(node("haproxy_service_sockets_path_fmt"), names: service)
    options.proxySocketFormat = try FormatText(node("haproxy_service_proxy_sockets_path_fmt"), names: service)
    if options.listensWithNginx {
      options.nginx = try nginx()
      options.warnings.append(
        try node("listen_with_nginx").error(
          "this synapse has no nginx and refuses a file with the section 'nginx', so the one in force would stay; "
            + "take the option out and let HAProxy listen, unless the file is for the original synapse"))
    }
    options.restart = try restart()
    let known = ToolOptionsReader.optional.union(
      try YAMLDocument.parse(Array(ToolOptionsReader.defaults.utf8), file: "").entries().map(\.name)
    ).union(["lua_dir"])
    for entry in try top.entries() where !known.contains(entry.name) {
      options.warnings.append(
        entry.value.error("there is no option of that name; it is only used in texts that name it"))
    }
    return options
  }

  private func readProxy(into options: inout ToolOptions) throws(ConfigError) {
    let inter = try node("haproxy.defaults.inter")
    options.checkInterval = try inter.string()
    guard ProxyText.isTime(options.checkInterval) else {
      throw inter.error("expected a time such as 10m, found \(inter.summary)")
    }
    options.socketPath = try word("haproxy_socket_file_path")
    options.capturedHeaders = try capturedHeaders()
    options.haproxyConfigPath = try line("haproxy_config_path")
    if let path = nodes["haproxy_state_file_path"], path.isTrue { options.stateFilePath = try path.line() }
    options.restartInterval = try number("haproxy_restart_interval_s")
    options.fileOutputPath = try line("file_output_path")
    options.zookeeperTopology = try line("zookeeper_topology_path")
    options.reloadCommand = try command("haproxy_reload_cmd_fmt")
    if let path = nodes["haproxy_master_socket_path"], path.isTrue { options.masterSocketPath = try path.line() }
    guard let files = nodes["errorfiles"] else { return }
    for entry in try files.entries() {
      guard entry.name.utf8.count == 3, Int(entry.name) != nil else {
        throw entry.value.error("'\(entry.name)' is no status of HTTP")
      }
      options.errorFiles.append(ToolOptions.ErrorFile(status: entry.name, path: try entry.value.line()))
    }
  }

  private func readLimits(into options: inout ToolOptions) throws(ConfigError) {
    let counts = 0...Int(Int32.max)
    options.maximumConnections = try node("maximum_connections").truncatedNumber(in: counts)
    options.maximumPerServer = try node("maxconn_per_server").truncatedNumber(in: counts)
    options.maximumQueuePerServer = try node("maxqueue_per_server").truncatedNumber(in: counts)
    options.hacheckPort = try node("hacheck_port").truncatedNumber(in: 1...65_535)
    options.statsPort = try node("stats_port").truncatedNumber(in: 1...65_535)
  }

  private func readPlugins(into options: inout ToolOptions) throws(ConfigError) {
    options.luaDirectory = try line("lua_dir")
    options.mapDirectory = try line("map_dir")
    options.mapRefreshInterval = try node("map_refresh_interval").truncatedNumber(in: 1...1_000_000)
    if nodes["enable_map_debug"]?.isTrue == true {
      guard let port = nodes["map_debug_port"] else {
        throw top.error("missing key 'map_debug_port', which enable_map_debug needs")
      }
      options.mapDebugPort = try port.truncatedNumber(in: 1...65_535)
    }
    let logging = try node("logging")
    _ = try logging.entries()
    options.logging.isEnabled = logging["enabled"]?.isTrue ?? false
    if options.logging.isEnabled, let rate = logging["sample_rate"] {
      options.logging.sampleRate = try rate.sampleRate()
    }
    if let routing = nodes["path_based_routing"] {
      _ = try routing.entries()
      options.respectsPathRouting = routing["enabled"]?.isTrue ?? false
    }
  }

  private func nginx() throws(ConfigError) -> NginxOptions {
    var nginx = NginxOptions()
    nginx.configPath = try line("nginx_config_path")
    nginx.pidFile = try line("nginx_pid_file_path")
    nginx.checkCommand = try command("nginx_check_cmd_fmt")
    nginx.reloadCommand = try command("nginx_reload_cmd_fmt")
    nginx.startCommand = try command("nginx_start_cmd_fmt")
    nginx.restartInterval = try number("nginx_restart_interval_s")
    nginx.errorTarget = try line("nginx_log_error_target")
    nginx.errorLevel = try line("nginx_log_error_level")
    nginx.sendsProxyProtocol = nodes["nginx_proxy_proto"]?.isTrue ?? false
    return nginx
  }

  private func restart() throws(ConfigError) -> RestartCommand? {
    if let node = nodes["synapse_restart_command"] { return .once(try words(node)) }
    return isGiven.contains("synapse_command") ? .stopAndStart(try words(try node("synapse_command"))) : nil
  }

  /// A program and its arguments; a text with blanks is a command for the shell.
  private func words(_ node: YAMLNode) throws(ConfigError) -> [String] {
    if case .scalar = node.value {
      let text = try node.line()
      return text.contains(" ") ? ["/bin/sh", "-c", text] : [text]
    }
    let words = try node.strings()
    guard words.first?.isEmpty == false else { throw node.error("expected a program and its arguments") }
    return words
  }

  private func capturedHeaders() throws(ConfigError) -> [ToolOptions.CapturedHeader] {
    let node = try node("haproxy_captured_req_headers")
    var headers: [ToolOptions.CapturedHeader] = []
    for item in try node.string().split(separator: ",") {
      let pair = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let name = pair[0].trimmingBlanks
      if name.isEmpty, pair.count == 1 { continue }
      let length = pair.count == 2 && !pair[1].trimmingBlanks.isEmpty ? pair[1].trimmingBlanks : "64"
      guard ProxyText.isHeaderName(name), let count = Int(length), count > 0 else {
        throw node.error("'\(item)' is not NAME or NAME:LENGTH")
      }
      headers.append(ToolOptions.CapturedHeader(name: name, length: length))
    }
    return headers
  }

  // MARK: Values

  private func node(_ key: String) throws(ConfigError) -> YAMLNode {
    guard let node = nodes[key] else { throw top.error("missing key '\(key)'") }
    return node
  }

  private func line(_ key: String) throws(ConfigError) -> String { try node(key).line() }

  private func word(_ key: String) throws(ConfigError) -> String {
    let node = try node(key)
    let word = try node.string()
    guard ProxyText.isPlainWord(word) else { throw node.error("expected one word, found \(node.summary)") }
    return word
  }

  /// A number, passed on as it is written.
  private func number(_ key: String) throws(ConfigError) -> JSONValue {
    let node = try node(key)
    _ = try node.double(in: 0...1e9)
    return JSONValue(Array(node.json().utf8)) ?? .null
  }

  private func command(_ key: String) throws(ConfigError) -> String {
    var values: [String: String] = [:]
    for (name, node) in nodes {
      if case .scalar(let scalar) = node.value { values[name] = scalar.pythonText }
    }
    return try FormatText(try node(key), names: Set(values.keys)).filled(values)
  }
}

extension Substring {
  /// Without the blanks at both ends.
  fileprivate var trimmingBlanks: String {
    let rest = drop { $0.isWhitespace }
    return String(rest.reversed().drop { $0.isWhitespace }.reversed())
  }
}

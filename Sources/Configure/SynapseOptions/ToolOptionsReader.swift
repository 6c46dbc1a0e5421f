internal import SmartStack
internal import YAMLConfig

extension ToolOptions {
  /// Reads and checks all options. Any mistake is the host's and stops the run: there is no service to blame.
  /// - Parameters:
  ///   - top: the top value of `synapse-tools.conf.json`.
  ///   - luaDirectory: where the scripts are when `lua_dir` does not say.
  init(_ top: YAMLNode, luaDirectory: String) throws(ConfigError) {
    let reader = try ToolOptionsReader(top, luaDirectory: luaDirectory)
    guard top["config_file"] != nil else {
      throw top.error("missing key 'config_file': the path of the synapse.conf.json to be written")
    }
    output = try reader.line("config_file")
    bindAddress = try reader.word("bind_addr")
    listensWithHAProxy = reader.isTrue("listen_with_haproxy")
    checkInterval = try reader.time("haproxy.defaults.inter")
    checkTimeout =
      reader.isTrue("haproxy.defaults.timeout_check") ? try reader.time("haproxy.defaults.timeout_check") : nil
    observedLayer =
      reader.isTrue("haproxy.defaults.observe")
      ? try reader.choice("haproxy.defaults.observe", of: ["layer4", "layer7"]) : nil
    onError = try reader.choice(
      "haproxy.defaults.on_error", of: ["fastinter", "fail-check", "sudden-death", "mark-down"])
    socketPath = try reader.word("haproxy_socket_file_path")
    capturedHeaders = try reader.capturedHeaders()
    haproxyConfigPath = try reader.line("haproxy_config_path")
    stateFilePath = try reader.optionalLine("haproxy_state_file_path")
    restartInterval = try reader.number("haproxy_restart_interval_s")
    fileOutputPath = try reader.line("file_output_path")
    zookeeperTopology = try reader.line("zookeeper_topology_path")
    reloadCommand = try reader.command("haproxy_reload_cmd_fmt")
    masterSocketPath = try reader.optionalLine("haproxy_master_socket_path")
    errorFiles = try reader.errorFiles()
    let counts = 0...Int(Int32.max)
    // nginx has to be told a number.
    maximumConnections = try reader.count(
      "maximum_connections", in: reader.isTrue("listen_with_nginx") ? 1...counts.upperBound : counts)
    maximumPerServer = try reader.count("maxconn_per_server", in: counts)
    maximumQueuePerServer = try reader.count("maxqueue_per_server", in: counts)
    hacheckPort = try reader.count("hacheck_port", in: 1...65_535)
    statsPort = try reader.count("stats_port", in: 1...65_535)
    self.luaDirectory = try reader.line("lua_dir")
    mapDirectory = try reader.line("map_dir")
    mapRefreshInterval = try reader.count("map_refresh_interval", in: 1...1_000_000)
    mapDebugPort = try reader.mapDebugPort()
    let logging = try reader.section("logging")
    logsRequests = logging?["enabled"]?.isTrue ?? false
    logSampleRate = logsRequests ? try logging?["sample_rate"]?.sampleRate() : nil
    respectsPathRouting = try reader.section("path_based_routing")?["enabled"]?.isTrue ?? false
    let service: Set = ["service_name"]
    socketFormat = try FormatText(reader.node("haproxy_service_sockets_path_fmt"), names: service)
    proxySocketFormat = try FormatText(reader.node("haproxy_service_proxy_sockets_path_fmt"), names: service)
    nginx = reader.isTrue("listen_with_nginx") ? try reader.nginx() : nil
    statusPort = top["status_port"] != nil ? try reader.count("status_port", in: 1...65_535) : nil
    tls = top["zk_tls"]?.jsonValue()
    extraLines = try reader.extraLines()
    restartCommands = try reader.restartCommands(isGiven: top["synapse_command"] != nil)
    warnings = try reader.warnings()
  }
}

/// The options of a file on top of the defaults, each with its place.
private struct ToolOptionsReader {
  private let top: YAMLNode
  private let known: Set<String>
  private var nodes: [String: YAMLNode] = [:]

  init(_ top: YAMLNode, luaDirectory: String) throws(ConfigError) {
    self.top = top
    let defaults = ToolOptions.defaults + "\nlua_dir: \(JSONText.quoted(luaDirectory))"
    for entry in try YAMLDocument.parse(Array(defaults.utf8), file: "built-in defaults").entries() {
      nodes[entry.name] = entry.value
    }
    known = ToolOptions.optional.union(nodes.keys)
    for entry in try top.entries() { nodes[entry.name] = entry.value }
    if let legacy = nodes["reload_cmd_fmt"] { nodes["haproxy_reload_cmd_fmt"] = legacy }
  }

  func warnings() throws(ConfigError) -> [ConfigError] {
    var warnings: [ConfigError] = []
    if isTrue("listen_with_nginx") {
      warnings.append(
        try node("listen_with_nginx").error(
          "this synapse has no nginx and refuses a file with the section 'nginx', so the current one would stay; "
            + "take the option out and let HAProxy listen, unless the file is for upstream's synapse"))
    }
    for entry in try top.entries() where !known.contains(entry.name) {
      warnings.append(entry.value.error("there is no option of that name; it is only used in texts that name it"))
    }
    return warnings
  }

  // MARK: Options

  func nginx() throws(ConfigError) -> NginxOptions {
    NginxOptions(
      configPath: try line("nginx_config_path"), pidFile: try line("nginx_pid_file_path"),
      checkCommand: try command("nginx_check_cmd_fmt"), reloadCommand: try command("nginx_reload_cmd_fmt"),
      startCommand: try command("nginx_start_cmd_fmt"), restartInterval: try number("nginx_restart_interval_s"),
      errorTarget: try line("nginx_log_error_target"), errorLevel: try line("nginx_log_error_level"),
      sendsProxyProtocol: isTrue("nginx_proxy_proto"))
  }

  /// - Parameter isGiven: whether the file has a `synapse_command`; its default is not one that was asked for.
  func restartCommands(isGiven: Bool) throws(ConfigError) -> [[String]] {
    if let node = nodes["synapse_restart_command"] { return [try words(node)] }
    guard isGiven else { return [] }
    let command = try words(try node("synapse_command"))
    return [command + ["stop"], command + ["start"]]
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

  func capturedHeaders() throws(ConfigError) -> [String] {
    let node = try node("haproxy_captured_req_headers")
    var headers: [String] = []
    for item in try node.string().split(separator: ",") {
      let pair = item.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        .map { String($0).trimmedBlanks }
      if pair == [""] { continue }
      let length = pair.count == 2 && !pair[1].isEmpty ? pair[1] : "64"
      guard pair[0].isHeaderName, let count = Int(length), count > 0 else {
        throw node.error("'\(item)' is not NAME or NAME:LENGTH")
      }
      headers.append("\(pair[0]) len \(length)")
    }
    return headers
  }

  func mapDebugPort() throws(ConfigError) -> Int? {
    guard isTrue("enable_map_debug") else { return nil }
    guard nodes["map_debug_port"] != nil else {
      throw top.error("missing key 'map_debug_port', which enable_map_debug needs")
    }
    return try count("map_debug_port", in: 1...65_535)
  }

  func extraLines() throws(ConfigError) -> [String: [String]] {
    var lines: [String: [String]] = [:]
    for entry in try nodes["haproxy_extra_lines"]?.entries() ?? [] {
      guard ["global", "defaults", "listen stats"].contains(entry.name) else {
        throw entry.value.error("'\(entry.name)' is not one of global, defaults and listen stats")
      }
      lines[entry.name] = try entry.value.items().map { (item) throws(ConfigError) in try item.line() }
    }
    return lines
  }

  func errorFiles() throws(ConfigError) -> [String] {
    try (nodes["errorfiles"]?.entries() ?? []).map { (entry) throws(ConfigError) in
      guard entry.name.utf8.count == 3, Int(entry.name) != nil else {
        throw entry.value.error("'\(entry.name)' is not an HTTP status")
      }
      return "\(entry.name) \(ProxyText.word(try entry.value.line()))"
    }
  }

  // MARK: Values

  func node(_ key: String) throws(ConfigError) -> YAMLNode {
    guard let node = nodes[key] else { throw top.error("missing key '\(key)'") }
    return node
  }

  func isTrue(_ key: String) -> Bool { nodes[key]?.isTrue ?? false }

  func count(_ key: String, in range: ClosedRange<Int>) throws(ConfigError) -> Int {
    try node(key).truncatedNumber(in: range)
  }

  func section(_ key: String) throws(ConfigError) -> YAMLNode? {
    _ = try nodes[key]?.entries()
    return nodes[key]
  }

  func line(_ key: String) throws(ConfigError) -> String { try node(key).line() }

  func optionalLine(_ key: String) throws(ConfigError) -> String? { isTrue(key) ? try line(key) : nil }

  func word(_ key: String) throws(ConfigError) -> String {
    let node = try node(key)
    let word = try node.string()
    guard ProxyText.isPlainWord(word) else { throw node.error("expected one word, found \(node.summary)") }
    return word
  }

  func time(_ key: String) throws(ConfigError) -> String {
    let node = try node(key)
    let time = try node.string()
    guard ProxyText.isTime(time) else { throw node.error("expected a time such as 10m, found \(node.summary)") }
    return time
  }

  func choice(_ key: String, of words: [String]) throws(ConfigError) -> String {
    let node = try node(key)
    let word = try node.string()
    guard words.contains(word) else {
      throw node.error("expected \(words.joined(separator: ", ")), found \(node.summary)")
    }
    return word
  }

  /// A number, passed on as it is written.
  func number(_ key: String) throws(ConfigError) -> JSONValue {
    let node = try node(key)
    _ = try node.double(in: 0...1e9)
    return JSONValue(Array(node.json().utf8)) ?? .null
  }

  func command(_ key: String) throws(ConfigError) -> String {
    var values: [String: String] = [:]
    for (name, node) in nodes {
      if case .scalar(let scalar) = node.value { values[name] = scalar.pythonText }
    }
    return try FormatText(try node(key), names: Set(values.keys)).filled(values)
  }
}

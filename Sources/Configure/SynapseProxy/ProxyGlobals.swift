internal import Reactor
internal import SmartStack

/// The `haproxy` and `nginx` sections that all services share.
///
/// Plugins of single services add lines; a line is there once, however many ask for it.
struct ProxyGlobals {
  let options: ToolOptions
  /// This host's name, for the order of servers.
  let hostName: String
  private(set) var global: [String]
  private(set) var defaults: [String]

  init(_ options: ToolOptions, hostName: String) {
    self.options = options
    self.hostName = hostName
    global = ProxyGlobals.globalLines(options)
    defaults = ProxyGlobals.defaultsLines(options)
  }

  mutating func add(global lines: [String], defaults more: [String]) {
    for line in lines where !global.contains(line) { global.append(line) }
    for line in more where !defaults.contains(line) { defaults.append(line) }
  }

  private static func globalLines(_ options: ToolOptions) -> [String] {
    var lines = ["daemon"]
    // Without the line HAProxy takes as many as its descriptors allow.
    if options.maximumConnections > 0 { lines.append("maxconn \(options.maximumConnections)") }
    lines += [
      "stats socket \(options.socketPath) level admin",
      // 16 KiB, HAProxy's default, is too little for the heads of some requests.
      "tune.bufsize 32768",
      "spread-checks 50", "log 127.0.0.1:1514 daemon info", "log-send-hostname", "unix-bind mode 666",
      "setenv map_file \(ProxyText.word(ToolOptions.path(of: "ip_to_service.map", in: options.mapDirectory)))",
      "setenv map_refresh_interval \(options.mapRefreshInterval)",
    ]
    if let path = options.stateFilePath { lines.append("server-state-file \(ProxyText.word(path))") }
    // The map is shown by the script that also fills in the source header.
    if options.mapDebugPort != nil { lines.append(options.load("add_source_header.lua")) }
    return lines + (options.extraLines["global"] ?? [])
  }

  private static func defaultsLines(_ options: ToolOptions) -> [String] {
    var lines = [
      "timeout connect 200ms", "timeout client 1000ms", "timeout server 1000ms", "retries 1", "option redispatch 1",
      "balance leastconn", "mode http",
      // Idle connections would keep an old HAProxy process alive after a reload.
      "option httpclose", "option accept-invalid-http-request", "log global", "option log-separate-errors",
      // Nerve's checks are the ones that count. HAProxy's own are rare, and come soon after a client met an error.
      "default-server on-error \(options.onError) error-limit 1 inter \(options.checkInterval) downinter 30s fastinter 30s "
        + "rise 1 fall 2",
    ]
    if let timeout = options.checkTimeout { lines.append("timeout check \(timeout)") }
    if options.stateFilePath != nil { lines.append("load-server-state-from-file global") }
    lines += options.errorFiles.map { "errorfile \($0)" }
    return lines + (options.extraLines["defaults"] ?? [])
  }

  /// The top-level section `haproxy`.
  var haproxy: JSONValue {
    var section: JSONObject = [
      "bind_address": .string(options.bindAddress),
      "restart_interval": options.restartInterval,
      "restart_jitter": .number("0.1"),
      "state_file_path": "/var/run/synapse/state.json",
      "state_file_ttl": 1800,
      "socket_file_path": .string(options.socketPath),
      "config_file_path": .string(options.haproxyConfigPath),
      "do_writes": true,
      "do_reloads": true,
      "do_socket": true,
      "server_order_seed": .int(md5Number(hostName.utf8)),
      "global": .lines(global),
      "defaults": .lines(defaults),
      "extra_sections": extraSections,
    ]
    if let path = options.masterSocketPath {
      section["master_socket"] = .string(path)
    } else {
      section["reload_command"] = .string(options.reloadCommand)
    }
    return .object(section)
  }

  private var extraSections: JSONValue {
    var sections: JSONObject = [
      "listen stats": .lines(
        [
          "bind :\(options.statsPort)", "mode http", "stats enable", "stats uri /", "stats refresh 1m",
          "stats show-node",
        ] + (options.extraLines["listen stats"] ?? []))
    ]
    if let port = options.mapDebugPort {
      sections["listen map.debug"] = .lines(["bind :\(port)", "http-request use-service lua.map-debug"])
    }
    return .object(sections)
  }

  /// The section `nginx`; nil on a host without.
  var nginx: JSONValue? {
    guard let nginx = options.nginx else { return nil }
    return [
      "contexts": [
        "main": .lines([
          "worker_processes 1", "worker_rlimit_nofile \(options.maximumConnections * 4)", "pid \(nginx.pidFile)",
          "error_log \(nginx.errorTarget) \(nginx.errorLevel)",
        ]),
        "stream": ["tcp_nodelay on"],
        "events": .lines(["worker_connections \(options.maximumConnections)", "multi_accept on", "use epoll"]),
      ],
      "config_file_path": .string(nginx.configPath),
      "check_command": .string(nginx.checkCommand),
      "reload_command": .string(nginx.reloadCommand),
      "start_command": .string(nginx.startCommand),
      "do_writes": true,
      "do_reloads": true,
      "restart_interval": nginx.restartInterval,
      "restart_jitter": .number("0.1"),
      "listen_address": .string(options.bindAddress),
    ]
  }
}

extension JSONValue {
  /// A list of texts.
  static func lines(_ lines: [String]) -> JSONValue { .array(lines.map(JSONValue.string)) }
}

/// MD5 as one number, its first byte the highest: upstream seeds the order of servers with the host name's.
func md5Number(_ bytes: some Collection<UInt8>) -> UInt128 {
  MessageDigest.md5.hash(bytes).reduce(0) { $0 << 8 | UInt128($1) }
}

internal import SmartStack
internal import YAMLConfig

/// The options of `synapse-tools.conf.json`.
struct ToolOptions: Equatable, Sendable {
  /// Upstream's value of each option that the file does not give, as YAML: texts such as `haproxy_reload_cmd_fmt` may
  /// name any of them. The value of `lua_dir` depends on the host.
  static let defaults = """
    bind_addr: 0.0.0.0
    listen_with_haproxy: true
    haproxy.defaults.inter: 10m
    haproxy.defaults.timeout_check: null
    haproxy.defaults.observe: null
    haproxy.defaults.on_error: fastinter
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
  static let optional: Set = [
    "config_file", "reload_cmd_fmt", "synapse_restart_command", "errorfiles", "haproxy_master_socket_path",
    "enable_map_debug", "map_debug_port", "path_based_routing", "status_port", "haproxy_extra_lines",
    "zk_tls",
  ]

  let output: String
  let bindAddress: String
  let listensWithHAProxy: Bool
  /// nil on a host that does not `listen_with_nginx`.
  let nginx: NginxOptions?
  let respectsPathRouting: Bool
  let checkInterval: String
  /// How long one of HAProxy's own checks may take; nil: as long as until the next one.
  let checkTimeout: String?
  /// What HAProxy sees in clients' requests: `layer4` connections, `layer7` answers too; nil: what the mode allows.
  let observedLayer: String?
  /// What HAProxy does after an error of that kind.
  let onError: String
  let socketPath: String
  /// As HAProxy's file has them: `NAME len LENGTH`.
  let capturedHeaders: [String]
  let haproxyConfigPath: String
  let stateFilePath: String?
  let restartInterval: JSONValue
  let fileOutputPath: String
  let maximumConnections: Int
  let maximumPerServer: Int
  let maximumQueuePerServer: Int
  let zookeeperTopology: String
  let hacheckPort: Int
  let statsPort: Int
  let luaDirectory: String
  let mapDirectory: String
  let mapRefreshInterval: Int
  /// nil: the map is not shown.
  let mapDebugPort: Int?
  let logsRequests: Bool
  let logSampleRate: String?
  /// As HAProxy's file has them: `STATUS PATH`.
  let errorFiles: [String]
  let reloadCommand: String
  /// The socket of HAProxy's master; nil: HAProxy is reloaded with ``reloadCommand``.
  let masterSocketPath: String?
  let socketFormat: FormatText
  let proxySocketFormat: FormatText
  /// Programs with their arguments, one after the other, that make synapse read a new file; none: the way that fits this
  /// host.
  let restartCommands: [[String]]
  /// Where synapse serves its page; nil: nowhere.
  let statusPort: Int?
  /// `zk_tls` of synapse's file, as it stands.
  let tls: JSONValue?
  /// Lines that are added to HAProxy's sections `global`, `defaults` and `listen stats`, by the section.
  let extraLines: [String: [String]]
  /// Keys that no option is called by, and options that this synapse refuses.
  let warnings: [ConfigError]
}

/// The options that only a host with `listen_with_nginx` needs.
struct NginxOptions: Sendable, Equatable {
  let configPath: String
  let pidFile: String
  let checkCommand: String
  let reloadCommand: String
  let startCommand: String
  let restartInterval: JSONValue
  let errorTarget: String
  let errorLevel: String
  let sendsProxyProtocol: Bool
}

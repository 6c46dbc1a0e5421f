/// A program that goes by the services' files.
enum SmartStackUser: CaseIterable {
  /// The writer of nerve.conf.json, configure_nerve.
  case nerve
  /// The writer of synapse.conf.json, configure_synapse.
  case synapse
}

/// A key of a namespace in smartstack.yaml, or of an entry in a list of local services.
public enum SmartStackKey: String, Sendable {
  case mode, discover, advertise, retries, balance, keepalive, chaos, plugins, routes, port, weight
  case proxyPort = "proxy_port"
  case extraAdvertise = "extra_advertise"
  case timeoutConnect = "timeout_connect_ms"
  case timeoutClient = "timeout_client_ms"
  case timeoutServer = "timeout_server_ms"
  case endpointTimeouts = "endpoint_timeouts"
  case extraHeaders = "extra_headers"
  case checkHeaders = "extra_healthcheck_headers"
  case checkMode = "healthcheck_mode"
  case checkURI = "healthcheck_uri"
  case checkPort = "healthcheck_port"
  case checkTimeout = "healthcheck_timeout_s"
  case checkExpect = "healthcheck_body_expect"
  case updownTimeout = "updown_timeout_s"
  case proxiedThrough = "proxied_through"
  case isProxy = "is_proxy"
  case loadBalancing = "lb_policy"
  case serviceIP = "service_ip"
  case hacheckIP = "hacheck_ip"
  case deployGroup = "deploy_group"
  case instance = "paasta_instance"

  /// The programs that skip a namespace whose value at this key is wrong; the others only name the mistake.
  var users: Set<SmartStackUser> {
    switch self {
    case .advertise, .mode, .checkURI, .checkHeaders: [.nerve, .synapse]
    case .extraAdvertise, .checkMode, .checkPort, .checkTimeout, .checkExpect, .routes, .port, .weight, .serviceIP,
      .hacheckIP, .deployGroup, .instance:
      [.nerve]
    case .discover, .proxyPort, .timeoutConnect, .timeoutClient, .timeoutServer, .endpointTimeouts, .retries, .balance,
      .keepalive, .extraHeaders, .chaos, .plugins, .proxiedThrough, .isProxy:
      [.synapse]
    case .updownTimeout, .loadBalancing: []
    }
  }

  /// Whether upstream's list of local services copies the value as it stands.
  var isCopied: Bool {
    switch self {
    case .proxyPort, .discover, .advertise, .timeoutConnect, .timeoutClient, .timeoutServer, .endpointTimeouts,
      .retries, .checkHeaders, .checkMode, .checkURI, .checkPort, .checkTimeout, .checkExpect, .updownTimeout,
      .loadBalancing:
      true
    case .mode, .routes, .extraAdvertise, .balance, .keepalive, .chaos, .plugins, .port, .weight, .extraHeaders,
      .proxiedThrough, .isProxy, .serviceIP, .hacheckIP, .deployGroup, .instance:
      false
    }
  }
}

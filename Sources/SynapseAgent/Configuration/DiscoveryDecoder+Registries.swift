internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// The registries besides ZooKeeper.
extension DiscoveryDecoder {
  /// What `zookeeper_dns` needs besides the znode.
  func names(_ discovery: ConfigSection) throws(ConfigError) -> DNSDiscovery {
    DNSDiscovery(
      servers: [], nameservers: try nameservers(discovery), interval: try interval(discovery, .seconds(30)))
  }

  func dns(_ discovery: ConfigSection) throws(ConfigError) -> DNSDiscovery {
    var result = try names(discovery)
    for server in try discovery.sectionList("servers") { result.servers.append(try named(server)) }
    if result.servers.isEmpty { throw discovery.error(at: "servers", "at least one name to resolve is needed") }
    return result
  }

  private func named(_ server: ConfigSection) throws(ConfigError) -> Backend {
    // What the service's override replaces need not be given.
    let port = try server.int("port", in: 1...65_535, default: hasPortOverride ? 1 : nil)
    return try ServiceDecoder.backend(server, port: port)
  }

  private func nameservers(_ discovery: ConfigSection) throws(ConfigError) -> [Endpoint] {
    var servers: [Endpoint] = []
    for text in try discovery.strings("nameserver") {
      guard let (host, port) = WebAddress.split(text, defaultPort: 53), ServerText.isAddress(host) else {
        throw discovery.error(at: "nameserver", "'\(text)' is no address; a name server is never looked up itself")
      }
      servers.append(.tcp(host: host, port: port))
    }
    return servers
  }

  private func interval(_ discovery: ConfigSection, _ usual: Duration) throws(ConfigError) -> Duration {
    try discovery.duration("check_interval", in: 0.1...86_400, default: usual)
  }

  func file(_ discovery: ConfigSection) throws(ConfigError) -> FileDiscovery {
    var path = try discovery.string("path")
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw discovery.error(at: "path", "'\(path)' is no absolute path of a directory")
    }
    return FileDiscovery(
      path: path, service: try discovery.optionalString("service"),
      interval: try interval(discovery, .seconds(30)))
  }

  func etcd(_ discovery: ConfigSection) throws(ConfigError) -> EtcdDiscovery {
    let port = try discovery.int("port", in: 1...65_535, default: 2379)
    var members: [WebAddress] = []
    for text in try discovery.strings("hosts") + discovery.strings("host") {
      let hasScheme = text.contains("://")
      let address: WebAddress?
      if hasScheme {
        address = WebAddress(text)
      } else {
        address = WebAddress.split(text, defaultPort: port).flatMap {
          WebAddress("http://\(Endpoint.tcp(host: $0.host, port: $0.port))")
        }
      }
      guard let address else { throw discovery.error(at: "hosts", "'\(text)' is no host[:port] or http(s):// address") }
      members.append(address)
    }
    if members.isEmpty { throw discovery.error(at: "hosts", "at least one etcd member is needed") }
    var path = try discovery.string("path")
    while path.hasSuffix("/") { path.removeLast() }
    if !path.isEmpty, !path.hasPrefix("/") { path = "/" + path }
    return EtcdDiscovery(members: members, path: path, interval: try interval(discovery, .seconds(60)))
  }

  func docker(_ discovery: ConfigSection) throws(ConfigError) -> DockerDiscovery {
    let image = try discovery.string("image_name")
    if image.isEmpty { throw discovery.error(at: "image_name", "an image's name is needed") }
    var servers: [DockerDiscovery.Server] = []
    for server in try discovery.sectionList("servers") {
      let backend = try ServiceDecoder.backend(server, port: try server.int("port", in: 1...65_535, default: 4243))
      let socket = try server.optionalString("socket")
      servers.append(
        DockerDiscovery.Server(
          name: backend.name, host: backend.host,
          endpoint: socket.map { .unix(path: $0) } ?? .tcp(host: backend.host, port: backend.port)))
    }
    if servers.isEmpty { throw discovery.error(at: "servers", "at least one Docker daemon is needed") }
    return DockerDiscovery(
      servers: servers, image: image, port: try discovery.int("container_port", in: 1...65_535),
      interval: try interval(discovery, .seconds(15)))
  }

  func marathon(_ discovery: ConfigSection) throws(ConfigError) -> MarathonDiscovery {
    let url = try discovery.string("marathon_api_url")
    let application = try discovery.string("application_name")
    if application.isEmpty { throw discovery.error(at: "application_name", "an application's name is needed") }
    let pattern = try discovery.string("marathon_api_path", default: "/v2/apps/%{app}/tasks")
    let path = pattern.split(separator: "%{app}", omittingEmptySubsequences: false).joined(separator: application)
    guard let base = WebAddress(url) else {
      throw discovery.error(at: "marathon_api_url", "'\(url)' is no http:// or https:// address")
    }
    // As relative addresses go (RFC 3986, section 5.2): a path with a slash before it replaces the address's own.
    let prefix = path.hasPrefix("/") ? "" : base.target.prefix { $0 != "?" }.directory
    let origin = url.prefix(url.count - (url.hasSuffix(base.target) ? base.target.count : 0))
    guard let address = WebAddress(origin + prefix + path) else {
      throw discovery.error(at: "marathon_api_path", "'\(path)' is no path of an address")
    }
    return MarathonDiscovery(
      address: address, portIndex: try discovery.int("port_index", in: 0...1000, default: 0),
      interval: try interval(discovery, .seconds(10)))
  }

  func ec2(_ discovery: ConfigSection) throws(ConfigError) -> EC2Discovery {
    if !hasPortOverride {
      throw discovery.node.error("ec2tag knows no ports: the service needs a backend_port_override")
    }
    let region = try given("aws_region", "AWS_REGION", discovery) ?? "us-east-1"
    guard ServerText.isDNSName("\(region).x"), !region.contains(".") else {
      throw discovery.error(at: "aws_region", "'\(region)' is no region")
    }
    guard let id = try given("aws_access_key_id", "AWS_ACCESS_KEY_ID", discovery),
      let secret = try given("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", discovery)
    else {
      throw discovery.node.error(
        "no credentials: aws_access_key_id and aws_secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in "
          + "the environment; an instance's own profile is not asked in this version")
    }
    let token = try given("aws_session_token", "AWS_SESSION_TOKEN", discovery)
    let endpoint = try discovery.string("aws_endpoint", default: "https://ec2.\(region).amazonaws.com/")
    guard let address = WebAddress(endpoint), address.target == "/" else {
      throw discovery.error(at: "aws_endpoint", "'\(endpoint)' is no http:// or https:// address of a host alone")
    }
    return EC2Discovery(
      tagName: try discovery.string("tag_name"), tagValue: try discovery.string("tag_value"), region: region,
      credentials: AWSCredentials(keyID: id, secret: secret, sessionToken: token), address: address,
      interval: try interval(discovery, .seconds(15)))
  }

  private func given(_ key: String, _ variable: String, _ discovery: ConfigSection) throws(ConfigError) -> String? {
    guard let text = try discovery.optionalString(key) ?? environment[variable], !text.isEmpty else { return nil }
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw discovery.error(at: key, "holds blanks or control characters")
    }
    return text
  }
}

extension Substring {
  /// Up to and with the last slash.
  fileprivate var directory: Substring { lastIndex(of: "/").map { self[...$0] } ?? "/" }
}

internal import Reactor
internal import SmartStack
public import YAMLConfig
internal import ZooKeeper

/// Reads from a service's section where and as what it is registered.
public struct RegistrationReader {
  private let instanceID: String
  private let section: ConfigSection

  /// Prepares to read `section`, for a host that registers as `instanceID`.
  public init(instanceID: String, section: ConfigSection) { (self.instanceID, self.section) = (instanceID, section) }

  /// - Parameter name: the service's, or the copy's with `load_test_concurrency`.
  public func read(name: String) throws(ConfigError) -> RegistrationTarget {
    let types = ["zookeeper", "etcd", "file"]
    let type = try section.string("reporter_type", default: types[0])
    let payload = try payload()
    switch type.lowercased() {
    case "zookeeper": return .zooKeeper(try zooKeeper(payload))
    case "etcd": return .etcd(try etcd(payload, name: name))
    case "file": return .file(try file(payload, name: name))
    default: throw section.error(at: "reporter_type", "'\(type)' is not one of \(types.joined(separator: ", "))")
    }
  }

  private func payload() throws(ConfigError) -> RegistrationPayload {
    var payload = RegistrationPayload(
      host: try section.host("host"), port: try section.required("port").json(), name: instanceID)
    if let weight = section.rawNode("weight") {
      guard !weight.isNull else {
        throw section.error(at: "weight", "is null; a whole number from 0 on is needed, or no such key")
      }
      payload.weight = try weight.int(in: 0...Int(Int32.max))
    }
    payload.haproxyServerOptions = try serverOptions()
    if let labels = section.rawNode("labels") {
      if !labels.isNull { _ = try labels.entries() }
      payload.labels = labels.json()
    }
    return payload
  }

  /// JSON, as written; what readers of the registration would refuse is refused here, too.
  private func serverOptions() throws(ConfigError) -> String? {
    let key = "haproxy_server_options"
    guard let node = section.rawNode(key) else { return nil }
    if case .scalar(let scalar) = node.value, scalar.kind == .text {
      if let trouble = ServerText.troubleWithOptions(scalar.text) { throw section.error(at: key, trouble) }
    } else if !node.isNull {
      section.warn(at: key, "is not a text; readers of the registration ignore it")
    }
    return node.json()
  }

  // MARK: ZooKeeper

  private func zooKeeper(_ payload: RegistrationPayload) throws(ConfigError) -> ZooKeeperTarget {
    let (mode, isEncoded) = (try nodeMode(), flag("use_path_encoding"))
    let registration = Registration(
      directory: try path("zk_path", of: "a znode"), name: payload.nodeName(pathEncoded: isEncoded),
      data: Array(payload.json.utf8), mode: mode)
    return ZooKeeperTarget(
      ensemble: try section.ensemble("zk_hosts"), registration: registration,
      renewal: try section.optionalDuration("ttl_seconds", in: 0.1...1e9),
      encodedBytes: isEncoded ? Base64.text(registration.data).utf8.count : nil)
  }

  private func nodeMode() throws(ConfigError) -> NodeMode {
    let words: [String: NodeMode] = [
      "ephemeral_sequential": .ephemeralSequential, "ephemeral": .ephemeral,
      "persistent_sequential": .persistentSequential, "persistent": .persistent,
    ]
    let word = try section.choice("node_type", of: words.keys.sorted(), default: "ephemeral_sequential")
    return words[word] ?? .ephemeralSequential
  }

  /// Only the boolean true is true; upstream takes the text "true" for false, and files rely on it.
  private func flag(_ key: String) -> Bool {
    guard let node = section.node(key) else { return false }
    if let value = try? node.bool() { return value }
    section.warn(at: key, "is neither true nor false, and counts as false")
    return false
  }

  // MARK: etcd

  /// Upstream's default; etcd's own is 2379.
  private static let upstreamPort = 4003
  /// Seconds that a registration outlives an agent that is gone.
  private static let lifetime = 30

  private func etcd(_ payload: RegistrationPayload, name: String) throws(ConfigError) -> EtcdTarget {
    let root = try path("etcd_path", of: "a key", default: "/")
    for part in [instanceID, name] where part.contains("/") || part == "." || part == ".." {
      throw section.error(at: "etcd_path", "'\(part)' cannot be part of a key")
    }
    let api = try section.choice("etcd_api", of: EtcdSettings.API.allCases.map(\.rawValue), default: "auto")
    return EtcdTarget(
      cluster: EtcdSettings(
        endpoints: try etcdEndpoints(), api: EtcdSettings.API(rawValue: api) ?? .auto,
        lifetime: try section.int("ttl_seconds", in: 2...86_400, default: RegistrationReader.lifetime)),
      key: (root == "/" ? "" : root) + "/\(instanceID)/\(name)", data: Array(payload.json.utf8))
  }

  /// `etcd_host` and `etcd_port` as upstream has them, or several `etcd_hosts`.
  private func etcdEndpoints() throws(ConfigError) -> [Endpoint] {
    let port = try section.int("etcd_port", in: 1...65535, default: RegistrationReader.upstreamPort)
    let several = try section.strings("etcd_hosts")
    guard !several.isEmpty else { return [.tcp(host: try section.string("etcd_host"), port: port)] }
    section.acknowledge("etcd_host")
    var endpoints: [Endpoint] = []
    for text in several {
      guard let endpoint = endpoint(text, port: port) else {
        throw section.error(at: "etcd_hosts", "'\(text)' is not a HOST:PORT")
      }
      if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
    }
    return endpoints
  }

  /// `host`, `host:port`, `[::1]` or `[::1]:port`.
  private func endpoint(_ text: String, port: Int) -> Endpoint? {
    var (host, given) = (text[...], Substring?.none)
    if let colon = text.lastIndex(of: ":"), !text.hasSuffix("]") {
      (host, given) = (text[..<colon], text[text.index(after: colon)...])
    }
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }) else { return nil }
    let number = given.map { Int($0) ?? 0 } ?? port
    guard (1...65535).contains(number) else { return nil }
    return .tcp(host: String(host), port: number)
  }

  // MARK: Files

  /// The longest name that Linux's file systems take, in bytes.
  private static let longestFileName = 255

  private func file(_ payload: RegistrationPayload, name: String) throws(ConfigError) -> FileTarget {
    let directory = try path("file_path", of: "a directory")
    let name = FileTarget.name(service: name, instance: instanceID)
    guard name.utf8.count <= RegistrationReader.longestFileName else {
      throw section.error(
        at: "file_path", "the file's name would have more than \(RegistrationReader.longestFileName) bytes")
    }
    return FileTarget(
      directory: directory, name: name, data: Array(payload.json.utf8),
      renewal: try section.optionalDuration("ttl_seconds", in: 0.1...1e9))
  }

  // MARK: Paths

  /// An absolute path without a trailing slash.
  private func path(_ key: String, of what: String, default fallback: String? = nil) throws(ConfigError) -> String {
    var path = try section.string(key, default: fallback)
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/") else {
      throw section.error(at: key, "'\(path)' does not begin with a slash")
    }
    let names = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    let isBad = names.contains { ["", ".", ".."].contains($0) } && path != "/"
    guard !isBad, !path.unicodeScalars.contains(where: \.breaksLine) else {
      throw section.error(at: key, "'\(path)' is not a path of \(what)")
    }
    return path
  }
}

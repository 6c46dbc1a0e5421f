public import SmartStack
public import YAMLConfig

/// A namespace of a service as nerve and the monitoring tools see it: the keys they know, nothing else, from
/// `smartstack.yaml` alone.
public struct ServiceNamespace: Sendable {
  /// The service's name.
  public let service: String
  /// The namespace's name.
  public let name: String
  /// Known keys and their values; `mode` is always there. `routes` and `extra_advertise` are lists of pairs.
  public var values: JSONObject

  /// The modes a service can have.
  public static let modes = ["http", "tcp", "https"]

  /// Whether clients reach it through a proxy: `proxy_port` is not null.
  public var isInSmartStack: Bool { values["proxy_port"].map { !$0.isNull } ?? false }

  private static let copiedKeys = [
    "healthcheck_mode", "healthcheck_uri", "healthcheck_port", "healthcheck_timeout_s", "healthcheck_body_expect",
    "updown_timeout_s", "proxy_port", "timeout_connect_ms", "timeout_server_ms", "timeout_client_ms", "retries",
    "mode", "discover", "advertise", "extra_healthcheck_headers", "lb_policy", "endpoint_timeouts",
  ]
}

extension ServiceDirectory {
  /// Reads a namespace; one that the file does not have is an empty one.
  /// - Throws: for an unknown `mode`, or routes and advertisements that are none, at the line.
  public func namespace(_ name: String, of service: String) throws(ConfigError) -> ServiceNamespace {
    let node = try document("smartstack.yaml", of: service)?[name]
    var namespace = ServiceNamespace(service: service, name: name, values: JSONObject())
    guard let node, !node.isNull else {
      namespace.values["mode"] = .null
      return namespace
    }
    for entry in try node.entries() where ServiceNamespace.isCopied(entry.name) {
      namespace.values[entry.name] = entry.value.jsonValue()
    }
    namespace.values["mode"] = try ServiceNamespace.mode(node)
    if let routes = node["routes"] { namespace.values["routes"] = try ServiceNamespace.routes(routes) }
    if let extra = node["extra_advertise"] {
      namespace.values["extra_advertise"] = try ServiceNamespace.advertisements(extra)
    }
    return namespace
  }
}

extension ServiceNamespace {
  fileprivate static func isCopied(_ key: String) -> Bool { copiedKeys.contains(key) }

  /// The mode given; without one, http for what has a port for clients, else null.
  fileprivate static func mode(_ node: YAMLNode) throws(ConfigError) -> JSONValue {
    guard let mode = node["mode"], !mode.isNull else {
      return node["proxy_port"].map { $0.isNull ? .null : "http" } ?? .null
    }
    let word = try mode.string()
    guard modes.contains(word) else {
      throw mode.error("unknown mode '\(word)'; it is one of \(modes.joined(separator: ", "))")
    }
    return .string(word)
  }

  /// `[{source, destinations}]` → `[[source, destination]…]`
  fileprivate static func routes(_ node: YAMLNode) throws(ConfigError) -> JSONValue {
    if node.isNull { return [] }
    var pairs: [JSONValue] = []
    for route in try node.items() {
      let section = try route.section()
      let source = try section.string("source")
      for destination in try section.required("destinations").items() {
        pairs.append([.string(source), .string(try destination.string())])
      }
    }
    return .array(pairs)
  }

  /// `{source: [destination…]}` → `[[source, destination]…]`, in the file's order.
  fileprivate static func advertisements(_ node: YAMLNode) throws(ConfigError) -> JSONValue {
    if node.isNull { return [] }
    var pairs: [JSONValue] = []
    for entry in try node.entries() {
      for destination in try entry.value.items() {
        pairs.append([.string(entry.name), .string(try destination.string())])
      }
    }
    return .array(pairs)
  }
}

public import YAMLConfig

/// A namespace that an instance is registered under.
public struct ServiceRegistration: Hashable, Sendable, CustomStringConvertible {
  /// The name of the service.
  public let service: String
  /// The name of the namespace.
  public let namespace: String

  /// Creates a registration from its names.
  public init(service: String, namespace: String) {
    self.service = service
    self.namespace = namespace
  }

  /// The full name, `service.namespace`.
  public var description: String { "\(service).\(namespace)" }

  /// Reads `service.namespace`, or the four parts of a Marathon job's name; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 4, !parts.contains(where: \.isEmpty) else { return nil }
    self.init(service: String(parts[0]), namespace: String(parts[1]))
  }
}

extension ServiceDirectory {
  /// How an instance of a service is to be registered: `marathon-<cluster>.yaml`, with the defaults of `service.yaml`;
  /// nil when `marathon-<cluster>.yaml` does not have it.
  /// - Returns: what it is registered under, never empty: several, or another service's, for canaries and shards that are
  ///   pooled with others; and the group of instances it is deployed with.
  /// - Throws: for a name that no instance may have, a registration that is none, at the line.
  public func instance(
    _ name: String, of service: String, cluster: String
  ) throws(ConfigError) -> (registrations: [ServiceRegistration], deployGroup: String)? {
    let path = file("marathon-\(cluster).yaml", of: service)
    // Templates for others to merge in start like this.
    guard !name.hasPrefix("_") else {
      throw ConfigError(file: path, path: name, problem: "an instance's name may not start with '_'")
    }
    guard let root = try document("marathon-\(cluster).yaml", of: service), let own = root[name] else { return nil }
    if !own.isNull { _ = try own.entries() }
    let defaults = try document("service.yaml", of: service)
    let value = { (key: String) in own[key] ?? defaults?[key] }
    let group = try value("deploy_group").flatMap { node throws(ConfigError) in node.isNull ? nil : try node.string() }
    return (
      try registrations(
        value("registrations"), nerveNamespace: value("nerve_ns"), service: service, instance: name),
      ServiceDirectory.expand(group ?? "{cluster}.{instance}", cluster: cluster, instance: name)
    )
  }

  private func registrations(
    _ given: YAMLNode?, nerveNamespace: YAMLNode?, service: String, instance: String
  ) throws(ConfigError) -> [ServiceRegistration] {
    var registrations: [ServiceRegistration] = []
    if let given, !given.isNull {
      for item in try given.items() {
        guard let registration = ServiceRegistration(try item.string()) else {
          throw item.error("expected service.namespace, found \(item.summary)")
        }
        registrations.append(registration)
      }
    }
    if !registrations.isEmpty { return registrations }
    var namespace = instance
    if let nerveNamespace, !nerveNamespace.isNull { namespace = try nerveNamespace.string() }
    return [ServiceRegistration(service: service, namespace: namespace)]
  }

  private static func expand(_ template: String, cluster: String, instance: String) -> String {
    var out = ""
    var rest = template[...]
    while let brace = rest.firstIndex(of: "{") {
      out += rest[..<brace]
      rest = rest[brace...]
      if rest.hasPrefix("{cluster}") {
        out += cluster
        rest = rest.dropFirst("{cluster}".count)
      } else if rest.hasPrefix("{instance}") {
        out += instance
        rest = rest.dropFirst("{instance}".count)
      } else {
        out += "{"
        rest = rest.dropFirst()
      }
    }
    return out + rest
  }
}

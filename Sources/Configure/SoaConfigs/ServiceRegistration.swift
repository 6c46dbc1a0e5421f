public import YAMLConfig

/// A namespace that an instance is registered under.
public struct ServiceRegistration: Hashable, Sendable, CustomStringConvertible {
  /// The name of the service.
  public let service: String
  /// The name of the namespace.
  public let namespace: String

  /// The full name, `service.namespace`.
  public var description: String { "\(service).\(namespace)" }
}

extension ServiceRegistration {
  /// Reads `service.namespace`, or the four parts of a Marathon job's name; nil for anything else.
  public init?(_ text: String) {
    let parts = text.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count == 2 || parts.count == 4, !parts.contains(where: \.isEmpty) else { return nil }
    self.init(service: String(parts[0]), namespace: String(parts[1]))
  }
}

/// What PaaSTA starts tasks with.
public enum TaskScheduler: String, Sendable {
  case marathon
  case native = "paasta_native"

  /// Of the framework of that name; nil for one that is not PaaSTA's.
  init?(framework: String) {
    if framework.hasPrefix("marathon") {
      self = .marathon
    } else if framework.hasPrefix("paasta_native ") {
      self = .native
    } else {
      return nil
    }
  }
}

extension ServiceDirectory {
  /// How an instance of a service is to be registered: `marathon-<cluster>.yaml`, with the defaults of `service.yaml`, or
  /// `paasta_native-<cluster>.yaml`; nil when that file does not have it.
  /// - Returns: what it is registered under, never empty: several, or another service's, for canaries and shards that are
  ///   pooled with others; and the group of instances it is deployed with, nil for none.
  /// - Throws: for a name that no instance may have, a registration that is none, at the line.
  public func instance(
    _ name: String, of service: String, cluster: String, scheduler: TaskScheduler = .marathon
  ) throws(ConfigError) -> (registrations: [ServiceRegistration], deployGroup: String?)? {
    let fileName = "\(scheduler.rawValue)-\(cluster).yaml"
    let path = file(fileName, of: service)
    // Templates for others to merge in start like this.
    guard !name.hasPrefix("_") else {
      throw ConfigError(file: path, path: name, problem: "an instance's name may not start with '_'")
    }
    guard let root = try document(fileName, of: service), let own = root[name] else { return nil }
    if !own.isNull { _ = try own.entries() }
    let defaults = scheduler == .marathon ? try document("service.yaml", of: service) : nil
    let value = { (key: String) in own[key] ?? defaults?[key] }
    var group: String? = "{cluster}.{instance}"
    // Null is no group.
    if let given = value("deploy_group") { group = given.isNull ? nil : try given.string() }
    return (
      try registrations(
        value("registrations"), nerveNamespace: value("nerve_ns"), service: service, instance: name),
      group.map { ServiceDirectory.expand($0, cluster: cluster, instance: name) }
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
    template.split(separator: "{cluster}", omittingEmptySubsequences: false).map {
      $0.split(separator: "{instance}", omittingEmptySubsequences: false).joined(separator: instance)
    }.joined(separator: cluster)
  }
}

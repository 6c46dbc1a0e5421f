internal import Reactor
internal import YAMLConfig
internal import ZooKeeper

/// A `discovery_multi` section, or a `discovery` section with method multi: several discoveries under one name.
struct MultiDiscovery: Hashable, Sendable {
  /// The parts, in the file's order; the service's own discovery is the last.
  var parts: [NamedDiscovery]
  /// How they become one list.
  var resolver: MultiResolver
}

extension MultiDiscovery: DiscoverySettings {
  /// How long the parts that have spoken wait for the others.
  private static let patience: Duration = .seconds(10)

  init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    _ = try section.choice("method", of: ["multi"], default: "multi")
    parts = []
    for (name, part) in try section.sections("watchers") where source.primary == nil || name != "primary" {
      parts.append(NamedDiscovery(name: name, discovery: try source.decodePart(part)))
    }
    if let primary = source.primary {
      let adopted = try section.adopt(primary)
      parts.append(NamedDiscovery(name: "primary", discovery: try source.decodePart(adopted)))
    }
    if parts.isEmpty { throw section.error(at: "watchers", "at least one watcher is needed") }
    resolver = try MultiResolver(
      section.section("resolver"), parts: parts.map(\.name), environment: source.environment)
  }

  var place: String { parts.map { "\($0.name): \($0.discovery.place)" }.joined(separator: "; ") }

  var ensembles: Set<ServerList> { parts.reduce(into: []) { $0.formUnion($1.discovery.ensembles) } }

  var unfiltered: MultiDiscovery {
    let plain = parts.map { NamedDiscovery(name: $0.name, discovery: $0.discovery.unfiltered) }
    return MultiDiscovery(parts: plain, resolver: resolver)
  }

  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    MultiWatcher(
      parts: parts.map { (name: $0.name, watcher: $0.discovery.makeWatcher(in: environment)) }, resolver: resolver,
      patience: MultiDiscovery.patience, environment: environment)
  }
}

/// One of the parts of a `multi` discovery.
struct NamedDiscovery: Hashable, Sendable {
  /// Its key under `watchers`; the service's own discovery is `primary`.
  var name: String
  var discovery: Discovery
}

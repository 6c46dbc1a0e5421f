public import Reactor
public import YAMLConfig
public import ZooKeeper

/// The settings of one discovery method: decoded, shown to operators, and made into a watcher.
public protocol DiscoverySettings: Hashable, Sendable {
  /// Decodes a `discovery` section.
  init(_ source: DiscoverySource) throws(ConfigError)

  /// The place where the servers are registered, for an operator.
  var place: String { get }

  /// The ZooKeeper ensembles that are needed, by their key.
  var ensembles: Set<ServerList> { get }

  /// Settings that are the same but for label filters of parts.
  var unfiltered: Self { get }

  /// A watcher that delivers what the environment's policies make of its readings.
  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher
}

extension DiscoverySettings {
  /// No ensemble, unless the method reads ZooKeeper.
  public var ensembles: Set<ServerList> { [] }

  /// Itself, unless the method has parts.
  public var unfiltered: Self { self }
}

/// A `discovery` section and the facts that its decoding depends on.
public struct DiscoverySource {
  let section: ConfigSection
  /// Its `method`, in lower case.
  let method: String
  /// Whether registrations may come without a port.
  let hasPortOverride: Bool
  /// For credentials that no file holds.
  let environment: [String: String]
  /// The service's own discovery, where the section is a `discovery_multi` beside it.
  var primary: YAMLNode?
  let decodePart: (ConfigSection) throws(ConfigError) -> Discovery

  /// `check_interval`, which most methods have.
  func interval(default usual: Duration) throws(ConfigError) -> Duration {
    try section.duration("check_interval", in: 0.1...86_400, default: usual)
  }
}

/// A service's discovery: a method with its settings, and the filters on the servers found.
public struct Discovery: Hashable, Sendable {
  /// The settings of its method.
  public let settings: any DiscoverySettings
  /// All must hold for a server found here.
  public let labelFilters: [LabelFilter]

  /// A discovery by `settings`, with filters.
  public init(_ settings: any DiscoverySettings, labelFilters: [LabelFilter] = []) {
    self.settings = settings
    self.labelFilters = labelFilters
  }

  /// Whether method, settings and filters are equal.
  public static func == (one: Discovery, other: Discovery) -> Bool {
    AnyHashable(one.settings) == AnyHashable(other.settings) && one.labelFilters == other.labelFilters
  }

  /// Feeds settings and filters into `hasher`.
  public func hash(into hasher: inout Hasher) {
    settings.hash(into: &hasher)
    labelFilters.hash(into: &hasher)
  }

  /// The place where the servers are registered, for an operator.
  public var place: String { settings.place }

  /// The ZooKeeper ensembles that are needed, by their key.
  public var ensembles: Set<ServerList> { settings.ensembles }

  /// The discovery without label filters, also in its parts.
  public var unfiltered: Discovery { Discovery(settings.unfiltered) }

  /// A watcher that delivers what the environment's policies make of its readings.
  @LoopActor public func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    settings.makeWatcher(in: environment.filtering(by: labelFilters))
  }
}

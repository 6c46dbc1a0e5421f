/// The `haproxy` section of one service.
public struct ServiceSettings: Hashable, Sendable {
  /// The service's key in the configuration.
  public var service: String
  /// Where its frontend listens.
  public var port: ServicePort = .omitted
  /// An address, or a Unix socket's path with ``ServicePort/none``; nil: the top level's.
  public var bindAddress: String?
  /// Appended to the `bind` line.
  public var bindOptions: String?
  /// Written on every `server` line; `%{host}`, `%{port}` and `%{name}` stand for the server's.
  public var serverOptions: String?
  /// Lines of its frontend.
  public var frontend: [String] = []
  /// Lines of its backend.
  public var backend: [String] = []
  /// Lines for whichever of the two they belong to.
  public var listen: [String] = []
  /// The backend section's name; nil: the service's.
  public var backendName: String?
  /// The order of its `server` lines.
  public var backendOrder: ServerOrder = .shuffle
  /// `cookie_value_method: hash`: a server's cookie value is the SHA-1 of its name in hexadecimal, not the name.
  public var hashesCookies = false
  /// Lines it adds to the shared frontend; nil: none.
  public var sharedFrontend: [String]?
  /// A disabled service has no section at all.
  public var isDisabled = false
  /// Overrides the top level's.
  public var usesNerveWeights: Bool?
  /// `generator_config_trust: full`: whether a section of the registry replaces this one, whatever it says.
  public var trustsRegistry = false
  /// Whether the registry says so, not this host's configuration.
  public var isFromRegistry = false
  /// The section as it was configured, a JSON object; goes into the state file as upstream's does.
  public var source: String?

  /// Settings with upstream's defaults.
  public init(service: String) { self.service = service }

  /// The name of its backend section.
  public var backendSection: String { backendName ?? service }
}

/// A service's `port`: three different things upstream, told apart by whether the key is there.
public enum ServicePort: Hashable, Sendable {
  /// No such key: the service has a backend but no frontend.
  case omitted
  /// The key is null: the bind address stands alone, as a Unix socket's path does.
  case none
  /// As it is written after the colon.
  case number(String)
}

/// The order of a backend's `server` lines.
public enum ServerOrder: String, Hashable, Sendable, CaseIterable {
  /// Ascending order of names.
  case ascending = "asc"
  /// Descending order of names.
  case descending = "desc"
  /// As the registry gives them; where servers that left stay in the file, in the order of first sight.
  case registry = "no_shuffle"
  /// Different per seed, the same for the same seed and servers; one server more does not move the others.
  case shuffle

  /// The configuration's word; anything else is ``shuffle``, as upstream has it.
  public init(configured: String?) {
    self = configured.flatMap(ServerOrder.init(rawValue:)) ?? .shuffle
  }
}

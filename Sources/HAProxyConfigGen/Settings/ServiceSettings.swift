/// The `haproxy` section of one service.
public struct ServiceSettings: Hashable, Sendable {
  /// The service's key in the configuration.
  public var service: String
  /// Where its frontend listens.
  public var port: ServicePort
  /// An address, or a Unix socket's path with ``ServicePort/none``; nil: the top level's.
  public var bindAddress: String?
  /// Appended to the `bind` line.
  public var bindOptions: String?
  /// Written on every `server` line; `%{host}`, `%{port}` and `%{name}` stand for the server's.
  public var serverOptions: String?
  /// Lines of its frontend.
  public var frontend: [String]
  /// Lines of its backend.
  public var backend: [String]
  /// Lines for whichever of the two they belong to.
  public var listen: [String]
  /// The backend section's name; nil: the service's.
  public var backendName: String?
  /// The order of its `server` lines.
  public var backendOrder: ServerOrder
  /// What a server's cookie value is made from.
  public var cookieValueMethod: CookieValueMethod
  /// Lines it adds to the shared frontend; nil: none.
  public var sharedFrontend: [String]?
  /// A disabled service has no section at all.
  public var isDisabled: Bool
  /// Overrides the top level's.
  public var usesNerveWeights: Bool?
  /// The section as it was configured, a JSON object; goes into the state file as upstream's does.
  public var source: String?

  /// Settings; everything but the name has upstream's default.
  public init(
    service: String, port: ServicePort = .omitted, bindAddress: String? = nil, bindOptions: String? = nil,
    serverOptions: String? = nil, frontend: [String] = [], backend: [String] = [], listen: [String] = [],
    backendName: String? = nil, backendOrder: ServerOrder = .shuffle, cookieValueMethod: CookieValueMethod = .name,
    sharedFrontend: [String]? = nil, isDisabled: Bool = false, usesNerveWeights: Bool? = nil, source: String? = nil
  ) {
    self.service = service
    self.port = port
    self.bindAddress = bindAddress
    self.bindOptions = bindOptions
    self.serverOptions = serverOptions
    self.frontend = frontend
    self.backend = backend
    self.listen = listen
    self.backendName = backendName
    self.backendOrder = backendOrder
    self.cookieValueMethod = cookieValueMethod
    self.sharedFrontend = sharedFrontend
    self.isDisabled = isDisabled
    self.usesNerveWeights = usesNerveWeights
    self.source = source
  }

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

/// What a server's cookie value is made from.
public enum CookieValueMethod: String, Hashable, Sendable {
  /// The name of the server.
  case name
  /// SHA-1 of the server's name, in hexadecimal.
  case hash

  /// The configuration's word; anything else is ``name``, as upstream has it.
  public init(configured: String?) {
    self = configured.flatMap(CookieValueMethod.init(rawValue:)) ?? .name
  }
}

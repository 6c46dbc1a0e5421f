/// The `haproxy` section at the top of synapse's configuration: what the generator needs of it.
///
/// Whether and how files are written, sockets spoken to and HAProxy reloaded is the agent's business.
public struct GeneratorSettings: Hashable, Sendable {
  /// Lines of the `global` section.
  public var global: [String]
  /// Lines of the `defaults` section.
  public var defaults: [String]
  /// Further sections, written as they stand, in this order.
  public var extraSections: [ExtraSection]
  /// Lines of the frontend that several services share; nil: there is none.
  public var sharedFrontend: [String]?
  /// Where services listen that do not say it themselves.
  public var bindAddress: String
  /// Seeds the order of servers whose service asks for no other; any text, upstream's is a 128-bit number.
  public var serverOrderSeed: String
  /// Ids are given from 1 to this one.
  public var maxServerID: Int
  /// How many seconds a server that left is remembered.
  public var stateFileTTL: Int
  /// Whether a server that left stays in the file, disabled, while it is remembered: so with a state file.
  public var keepsGoneServers: Bool
  /// Whether a registration's weight is written; a service may say otherwise.
  public var usesNerveWeights: Bool
  /// Whether the installed HAProxy has the last word on a directive we do not know. When nothing
  /// checks the file, such a line is left out instead, as it might make the file a bad one.
  public var keepsUnknownDirectives: Bool
  /// The HAProxy that is to load the file, where it is known: lines of services that it would refuse are left out, and
  /// named, before it is asked.
  public var version: HAProxyVersion?

  /// Settings; everything but the two required sections has upstream's default.
  public init(
    global: [String] = [], defaults: [String] = [], extraSections: [ExtraSection] = [], sharedFrontend: [String]? = nil,
    bindAddress: String = "localhost", serverOrderSeed: String = "0", maxServerID: Int = 65_535,
    stateFileTTL: Int = 86_400, keepsGoneServers: Bool = false, usesNerveWeights: Bool = false,
    keepsUnknownDirectives: Bool = true
  ) {
    self.global = global
    self.defaults = defaults
    self.extraSections = extraSections
    self.sharedFrontend = sharedFrontend
    self.bindAddress = bindAddress
    self.serverOrderSeed = serverOrderSeed
    self.maxServerID = maxServerID
    self.stateFileTTL = stateFileTTL
    self.keepsGoneServers = keepsGoneServers
    self.usesNerveWeights = usesNerveWeights
    self.keepsUnknownDirectives = keepsUnknownDirectives
  }
}

/// A section of the file that is not synapse's own: `listen stats` and its lines.
public struct ExtraSection: Hashable, Sendable {
  /// The section's first line, for example `listen stats`.
  public var title: String
  /// The lines below the title.
  public var lines: [String]

  /// Creates a section from its title and lines.
  public init(title: String, lines: [String]) {
    self.title = title
    self.lines = lines
  }
}

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
  /// Servers ordered by ascending name.
  case ascending = "asc"
  /// Servers ordered by descending name.
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
  /// The server's name as the cookie's value.
  case name
  /// SHA-1 of the server's name, in hexadecimal.
  case hash

  /// The configuration's word; anything else is ``name``, as upstream has it.
  public init(configured: String?) {
    self = configured.flatMap(CookieValueMethod.init(rawValue:)) ?? .name
  }
}

internal import SmartStack
public import YAMLConfig

/// One namespace of a service, as smartstack.yaml or a list of local services gives it, with all mistakes in it.
///
/// A value that is wrong is a mistake, and the default stands for it.
public struct SmartStackNamespace: Sendable {
  /// `proxy_port`: whether and where clients reach the namespace through a proxy.
  public enum ProxyPort: Sendable, Equatable {
    /// The key is not there.
    case absent
    /// Null: clients read the service's file, nothing listens.
    case discoveryOnly
    /// A negative number: no program has a part in it.
    case negative
    case port(Int)
    /// Something else, which is a mistake.
    case wrong
  }

  /// How the instances' health is checked; the keys `healthcheck_…`.
  public struct HealthCheck: Sendable, Equatable {
    /// `http`, `tcp`…; nil is the namespace's mode.
    public internal(set) var mode: String?
    /// The path of the question.
    public internal(set) var uri = "/status"
    /// nil is the instance's own port.
    public internal(set) var port: Int?
    /// As it was written.
    var timeout = JSONValue.double(1)
    var seconds = 1.0
    var expect: JSONValue?
    var headers: [Header] = []

    /// The headers as nerve's file has them.
    var headersJSON: JSONObject {
      var object = JSONObject()
      for header in headers { object[header.name] = header.json }
      return object
    }
  }

  /// A path with a server time-out of its own.
  struct Endpoint: Sendable, Equatable {
    var path: String
    /// The server's time-out in milliseconds.
    var serverTimeout: Int

    /// The part of a backend's name that stands for the path.
    var suffix: String {
      path.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "__") + "_timeouts"
    }
  }

  struct Header: Sendable, Equatable {
    var name: String
    /// As HAProxy's file has it.
    var value: String
    /// As nerve's file has it.
    var json: JSONValue
  }

  /// What `chaos` makes of the service on a host.
  enum Chaos: Sendable, Equatable {
    case none
    /// Connections are closed at once.
    case drop
    /// No server is ever found.
    case error503
    /// Each connection waits for this long, in HAProxy's notation.
    case delay(String)
  }

  struct Location: Hashable, Sendable {
    var type: String
    var name: String
  }

  /// What a list of local services says of the instance beside its namespace.
  struct Instance: Sendable, Equatable {
    /// nil: the instance is not registered.
    var port: Int?
    /// Its address, if that is not the host's: a pod's.
    var address: String?
    /// Where its hacheck listens.
    var hacheck = "127.0.0.1"
    /// nil is the default of its kind.
    var weight: JSONValue?
    var labels: JSONObject = [:]
  }

  /// The name `service.namespace`, as znodes have it.
  public let name: String
  let file: String
  /// Where it stands; nil when the file does not have it.
  let place: YAMLNode?
  /// Where clients reach it.
  public internal(set) var proxyPort = ProxyPort.absent
  /// `http`, `tcp` or `https`; nil where none is given.
  public internal(set) var mode: String?
  /// The location type whose servers clients get first.
  public internal(set) var discover = "region"
  /// The location types that it is advertised in, the most specific first; all known ones if the types are known.
  public internal(set) var advertise = ["region"]
  /// The value of `advertise`, for messages; nil where it is the default.
  var advertiseNode: YAMLNode?
  /// How its health is checked.
  public internal(set) var health = HealthCheck()
  /// Seconds that `updown_service` waits; nil is the tool's default.
  public internal(set) var updownTimeout: Int?

  /// Pairs of `extra_advertise`: hosts in the first location advertise in the second as well; with the place for messages.
  var extraAdvertise: [(source: Location, destination: Location, node: YAMLNode)] = []
  var routes: [(source: String, destination: String)] = []
  /// Milliseconds; nil leaves HAProxy's default.
  var timeouts: (connect: Int?, client: Int?, server: Int?) = (nil, nil, nil)
  var retries: Int?
  /// The algorithm, `leastconn` or `roundrobin`.
  var balance: String?
  var keepsAlive = false
  var headers: [Header] = []
  var endpoints: [Endpoint] = []
  /// Groupings of hosts, and what is asked of their members by location; nil leaves what an earlier grouping asks for.
  var chaos: [(grouping: String, node: YAMLNode, members: [String: (fail: Chaos?, delay: Chaos?)])] = []
  /// The plugins that it switches on; false leaves the tool's own setting.
  var plugins = (logs: false, sampleRate: String?.none, routesByPath: false, requiresSource: false)
  /// The namespace of the proxy service that requests go through.
  var proxiedThrough: (target: String, node: YAMLNode)?
  var isProxy = false
  var instance = Instance()
  /// The mistakes in the order of the file. Each has the key it is at, nil for the namespace as a whole, and the programs that
  /// skip the namespace for it; the others name it. Without programs all drop one value of several.
  var mistakes: [(key: SmartStackKey?, error: ConfigError, skippedBy: Set<SmartStackUser>?)] = []

  /// Creates a namespace that the files do not have: nothing but defaults.
  init(name: String, file: String) { (self.name, self.file, place) = (name, file, nil) }

  /// Creates a namespace of which nothing is read yet.
  init(name: String, at node: YAMLNode) { (self.name, file, place) = (name, node.file, node.place) }

  /// An error of the namespace as a whole.
  func error(_ problem: String) -> ConfigError {
    place?.error(problem) ?? ConfigError(file: file, path: name, problem: problem)
  }

  /// The mistakes by what they cost a program: those for which it skips the namespace, those that cost one value, and
  /// those in what only others read.
  func judged(by user: SmartStackUser) -> (skipping: [ConfigError], dropped: [ConfigError], unrelated: [ConfigError]) {
    var judged: (skipping: [ConfigError], dropped: [ConfigError], unrelated: [ConfigError]) = ([], [], [])
    for mistake in mistakes {
      guard let users = mistake.skippedBy else {
        judged.dropped.append(mistake.error)
        continue
      }
      if users.contains(user) { judged.skipping.append(mistake.error) } else { judged.unrelated.append(mistake.error) }
    }
    return judged
  }

  /// - Throws: the first mistake at one of these keys, or of the namespace as a whole.
  public func check(_ keys: SmartStackKey...) throws(ConfigError) {
    let first = mistakes.first { mistake in mistake.key.map { keys.contains($0) } ?? true }
    if let first { throw first.error }
  }

  /// Whether tasks of it are registered: clients reach it through a proxy, or read where it is.
  var isInSmartStack: Bool {
    switch proxyPort {
    case .absent: false
    case .discoveryOnly, .negative, .port, .wrong: true
    }
  }

  /// Whether HAProxy sees bytes instead of requests.
  var isTCP: Bool { mode == "tcp" }

  /// Whether synapse has a part in it.
  var isForSynapse: Bool {
    switch proxyPort {
    case .absent, .negative: false
    case .discoveryOnly, .port, .wrong: true
    }
  }

  /// The backend of one advertise type and endpoint; `nil` stands for all other paths.
  func backend(ofType type: String, endpoint: Endpoint?) -> String {
    name + (type == discover ? "" : ".\(type)") + (endpoint.map { ".\($0.suffix)" } ?? "")
  }
}

extension SmartStackNamespace {
  /// The namespace as upstream's list of local services has it.
  /// - Parameter node: what the namespace was read from; nil when the file does not have it.
  func listed(_ node: YAMLNode?) -> JSONObject {
    guard let node, case .mapping(let entries) = node.value else { return ["mode": .null] }
    var values = JSONObject()
    for entry in entries {
      switch SmartStackKey(rawValue: entry.name) {
      case .routes: values[entry.name] = .array(routes.map { [.string($0.source), .string($0.destination)] })
      case .extraAdvertise: values[entry.name] = .array(extraAdvertise.map { [$0.source.json, $0.destination.json] })
      case .mode: break
      case let key: if key?.isCopied == true { values[entry.name] = entry.value.jsonValue() }
      }
    }
    values[SmartStackKey.mode.rawValue] = mode.map(JSONValue.string) ?? (isInSmartStack ? "http" : .null)
    return values
  }
}

extension SmartStackNamespace.Location {
  /// The text of a location, `type:location`.
  fileprivate var json: JSONValue { .string("\(type):\(name)") }
}

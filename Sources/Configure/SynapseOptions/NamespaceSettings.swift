internal import YAMLConfig

/// What one namespace of a smartstack.yaml asks of this host's proxy.
struct NamespaceSettings: Sendable {
  /// Whether there is a proxy for it at all.
  enum Listening: Sendable, Equatable {
    /// `proxy_port: null`: clients read the service's file, nothing listens.
    case discoveryOnly
    case port(Int)
  }

  /// What `chaos` makes of the service on this host.
  enum Chaos: Sendable, Equatable {
    case none
    /// Connections are closed at once.
    case drop
    /// No server is ever found.
    case error503
    /// Each connection waits for this long, in HAProxy's notation.
    case delay(String)
  }

  /// Milliseconds; nil leaves the default.
  struct Timeouts: Sendable, Equatable {
    var connect: Int?
    var client: Int?
    var server: Int?
  }

  /// A path with a server time-out of its own.
  struct Endpoint: Sendable, Equatable {
    var path: String
    /// Milliseconds.
    var serverTimeout: Int

    /// How names of backends call it.
    var suffix: String {
      path.split(separator: "/", omittingEmptySubsequences: false).joined(separator: "__") + "_timeouts"
    }
  }

  /// A header and its value.
  struct Header: Sendable, Equatable {
    var name: String
    var value: String
  }

  /// The plugins that a namespace switches on; nil or false leaves the tool's own setting.
  struct Plugins: Sendable, Equatable {
    var logs = false
    /// As text; nil if it is not given.
    var sampleRate: String?
    var routesByPath = false
    var requiresSource = false
  }

  /// `service.namespace`.
  var name: String
  /// The file it stands in.
  var file: String
  var listening: Listening
  /// The location type whose servers clients get first.
  var discover: String
  /// The known location types that it is advertised in, most specific first.
  var advertise: [String]
  var mode = "http"
  var timeouts = Timeouts()
  var retries: Int?
  /// `leastconn` or `roundrobin`.
  var balance: String?
  var keepsAlive = false
  var headers: [Header] = []
  var checkHeaders: [Header] = []
  var checkURI = "/status"
  var endpoints: [Endpoint] = []
  var chaos = Chaos.none
  var plugins = Plugins()
  /// The namespace of the proxy service that requests go through.
  var proxiedThrough: String?
  /// Where that is asked for.
  var proxiedThroughNode: YAMLNode?
  var isProxy = false

  /// The backend of one advertise type and endpoint; `nil` stands for all other paths.
  func backend(_ type: String, _ endpoint: Endpoint?) -> String {
    name + (type == discover ? "" : ".\(type)") + (endpoint.map { ".\($0.suffix)" } ?? "")
  }
}

/// One server of a service, as a registration in the registry or a configuration file describes it.
///
/// A value whose copies share their memory until one of them is changed: a server stands in what a watcher has read, in
/// the snapshot made of it and in what is remembered of servers, and there may be a hundred thousand of them.
public struct Backend: Hashable, Sendable {
  private struct Fields: Hashable, Sendable {
    var name: String?
    var host: String
    var port: Int
    var id: Int?
    var weight: Int?
    var haproxyServerOptions: String?
    var labels: Labels?
    var haproxyServerID: Int?
    var origin: UInt64?
  }

  /// Always one element: an array is what copies share.
  private var storage: [Fields]

  private var fields: Fields {
    get { storage[0] }
    _modify { yield &storage[0] }
  }

  /// A backend; see the properties for units.
  public init(
    name: String? = nil, host: String, port: Int, id: Int? = nil, weight: Int? = nil,
    haproxyServerOptions: String? = nil, labels: Labels? = nil, haproxyServerID: Int? = nil
  ) {
    storage = [
      Fields(
        name: name, host: host, port: port, id: id, weight: weight, haproxyServerOptions: haproxyServerOptions,
        labels: labels, haproxyServerID: haproxyServerID)
    ]
  }

  /// The registering host's own name; part of the server's name in HAProxy.
  public var name: String? {
    get { fields.name }
    set { fields.name = newValue }
  }
  /// An address, or a name that HAProxy resolves when it reads its file.
  public var host: String {
    get { fields.host }
    set { (fields.host, fields.origin) = (newValue, nil) }
  }
  /// A port number, 1...65535.
  public var port: Int {
    get { fields.port }
    set { (fields.port, fields.origin) = (newValue, nil) }
  }
  /// The registry's sequence number; tells two registrations of one address apart.
  public var id: Int? {
    get { fields.id }
    set { fields.id = newValue }
  }
  /// 0...256 for HAProxy; larger values are clamped there, not here.
  public var weight: Int? {
    get { fields.weight }
    set { fields.weight = newValue }
  }
  /// What the registration adds to its `server` line.
  public var haproxyServerOptions: String? {
    get { fields.haproxyServerOptions }
    set { fields.haproxyServerOptions = newValue }
  }
  /// Locations it advertises in (`region:r1` → empty text) and whatever else the task was labelled with.
  public var labels: Labels? {
    get { fields.labels }
    set { fields.labels = newValue }
  }
  /// A server id that a configuration file prescribes.
  public var haproxyServerID: Int? {
    get { fields.haproxyServerID }
    set { fields.haproxyServerID = newValue }
  }

  /// A number for the registration, unlike that of any other at any time, of which the fields above are a copy; nil: it has
  /// none, or ``host`` or ``port`` have been set to something else since.
  public var origin: UInt64? {
    get { fields.origin }
    set { fields.origin = newValue }
  }

  /// `NAME_HOST:PORT`, or `HOST:PORT` without a name: the server's name in HAProxy.
  public var serverName: String {
    if let name, !name.isEmpty { "\(name)_\(host):\(port)" } else { "\(host):\(port)" }
  }
}

/// What a watcher knows of one service at one moment; always whole, never a difference.
public struct ServiceSnapshot: Hashable, Sendable {
  /// The service's key in the configuration, for example `web.main`.
  public var service: String
  /// Its servers, in the registry's order.
  public var backends: [Backend]
  /// JSON text of generator sections that the registry holds for this service, if it does.
  public var generatorConfig: String?
  /// Servers that are registered more than once, and not alike.
  public var conflicts: [RegistrationConflict]
  /// Whether a part of the registry has not answered since the start, so that servers may be missing.
  public var isPartial = false
  /// Whether the registry has none, and the previous servers are kept.
  public var isPreserved = false

  /// A snapshot; see the properties.
  public init(
    service: String, backends: [Backend], generatorConfig: String? = nil, conflicts: [RegistrationConflict] = []
  ) {
    self.service = service
    self.backends = backends
    self.generatorConfig = generatorConfig
    self.conflicts = conflicts
  }
}

/// Two registrations of one host and port that say different things.
public struct RegistrationConflict: Hashable, Sendable {
  /// The name of a server in HAProxy that one of them is.
  public var server: String
  /// What differs, for an operator.
  public var message: String

  /// A conflict; nil: they agree but for their labels, as registrations in two places do.
  public init?(_ kept: Backend, with other: Backend) {
    var differences: [String] = []
    func compare(_ what: String, of one: String?, and two: String?) {
      if one != two { differences.append("\(what) \(one ?? "none") and \(two ?? "none")") }
    }
    compare("name", of: kept.name, and: other.name)
    compare("options", of: kept.haproxyServerOptions, and: other.haproxyServerOptions)
    compare("weight", of: kept.weight.map(String.init), and: other.weight.map(String.init))
    if differences.isEmpty { return nil }
    server = kept.serverName
    let fate = kept.serverName == other.serverName ? "the newer counts" : "both are servers"
    message = "\(kept.host):\(kept.port) is registered twice, with \(differences.joined(separator: ", ")); \(fate)"
  }
}

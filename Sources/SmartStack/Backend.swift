/// One server of a service, as a registration in the registry or a configuration file describes it.
public struct Backend: Hashable, Sendable {
  /// The registering host's own name; part of the server's name in HAProxy.
  public var name: String?
  /// An address, or a name that HAProxy resolves when it reads its file.
  public var host: String
  /// 1...65535.
  public var port: Int
  /// The registry's sequence number; tells two registrations of one address apart.
  public var id: Int?
  /// 0...256 for HAProxy; larger values are clamped there, not here.
  public var weight: Int?
  /// What the registration adds to its `server` line.
  public var haproxyServerOptions: String?
  /// Locations it advertises in (`region:r1` → empty text) and whatever else the task was labelled with.
  public var labels: Labels?
  /// A server id that a configuration file prescribes.
  public var haproxyServerID: Int?

  /// A backend; see the properties for units.
  public init(
    name: String? = nil, host: String, port: Int, id: Int? = nil, weight: Int? = nil,
    haproxyServerOptions: String? = nil, labels: Labels? = nil, haproxyServerID: Int? = nil
  ) {
    self.name = name
    self.host = host
    self.port = port
    self.id = id
    self.weight = weight
    self.haproxyServerOptions = haproxyServerOptions
    self.labels = labels
    self.haproxyServerID = haproxyServerID
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

  /// A snapshot; see the properties.
  public init(service: String, backends: [Backend], generatorConfig: String? = nil) {
    self.service = service
    self.backends = backends
    self.generatorConfig = generatorConfig
  }
}

internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// A `discovery` section with method marathon.
struct MarathonDiscovery: DiscoverySettings {
  /// `marathon_api_url` and `marathon_api_path`, with the application in its place.
  var address: WebAddress
  /// `port_index`: the place of the port among a task's ports.
  var portIndex: Int = 0
  /// `check_interval`: the time between two questions.
  var interval: Duration = .seconds(10)

  init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    let url = try section.string("marathon_api_url")
    let application = try section.string("application_name")
    if application.isEmpty { throw section.error(at: "application_name", "an application's name is needed") }
    let pattern = try section.string("marathon_api_path", default: "/v2/apps/%{app}/tasks")
    let path = pattern.split(separator: "%{app}", omittingEmptySubsequences: false).joined(separator: application)
    guard let base = WebAddress(url) else {
      throw section.error(at: "marathon_api_url", "'\(url)' is not an http:// or https:// address")
    }
    // As relative addresses go (RFC 3986, section 5.2): a path with a slash before it replaces the address's own.
    let prefix = path.hasPrefix("/") ? "" : MarathonDiscovery.directory(of: base.target.prefix { $0 != "?" })
    let origin = url.prefix(url.count - (url.hasSuffix(base.target) ? base.target.count : 0))
    guard let address = WebAddress(origin + prefix + path) else {
      throw section.error(at: "marathon_api_path", "'\(path)' is not a path of an address")
    }
    self.address = address
    portIndex = try section.int("port_index", in: 0...1000, default: portIndex)
    interval = try source.interval(default: interval)
  }

  /// Up to and with the last slash.
  private static func directory(of path: Substring) -> Substring {
    path.lastIndex(of: "/").map { path[...$0] } ?? "/"
  }

  var place: String { "marathon \(address)" }

  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    let part = PolledPart(place: address.description) {
      let request = HTTPRequest(
        endpoint: address.endpoint, tls: address.tls, target: address.target,
        headers: [HTTPHeader(name: "Accept", value: "application/json")])
      return try MarathonDiscovery.reading(try await RegistryAnswer.json(request), portIndex: portIndex)
    }
    return PollWatcher(every: interval, of: [part], environment: environment)
  }

  /// The started tasks of the application, sorted by host and port.
  static func reading(_ answer: JSONValue, portIndex: Int) throws(RegistryError) -> RegistryReading {
    guard let object = answer.object else { throw .unexpected("it is not an object") }
    // An application without tasks may have no list at all.
    guard let tasks = (object["tasks"] ?? .array([])).array else { throw .unexpected("tasks is not a list") }
    var reading = RegistryReading()
    for (number, task) in tasks.enumerated() {
      guard let started = task["startedAt"], !started.isNull else { continue }
      let place = "task \(task["id"]?.string ?? "number \(number)")"
      guard let host = task["host"]?.string, ServerText.isHost(host) else {
        reading.skipped[place] = "it has no host that is an address or a DNS name"
        continue
      }
      let ports = task["ports"]?.array ?? []
      guard ports.indices.contains(portIndex), let port = ports[portIndex].int, (1...65_535).contains(port) else {
        reading.skipped[place] = "port \(portIndex) is not among its \(ports.count) ports"
        continue
      }
      reading.backends.append(Backend(name: host, host: host, port: port))
    }
    reading.backends.sort { ($0.host, $0.port) < ($1.host, $1.port) }
    return reading
  }
}

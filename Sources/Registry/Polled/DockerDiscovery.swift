internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// A `discovery` section with method docker.
struct DockerDiscovery: Hashable, Sendable {
  /// One daemon and its host.
  struct Server: Hashable, Sendable {
    /// Part of its containers' names in HAProxy.
    var name: String?
    /// Where its containers' ports are reached.
    var host: String
    /// Where its interface is: `host` and `port`, or `socket`.
    var endpoint: Endpoint
  }

  /// The daemons, each asked by itself.
  var servers: [Server]
  /// Without a tag, or with one: then only that one counts.
  var image: String
  /// The port inside the container.
  var port: Int
  /// `check_interval`: the time between two questions.
  var interval: Duration = .seconds(15)
}

extension DockerDiscovery: DiscoverySettings {
  init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    image = try section.string("image_name")
    if image.isEmpty { throw section.error(at: "image_name", "an image's name is needed") }
    servers = []
    for server in try section.sectionList("servers") {
      let backend = try Backend(configured: server, port: try server.int("port", in: 1...65_535, default: 4243))
      let socket = try server.optionalString("socket")
      servers.append(
        Server(
          name: backend.name, host: backend.host,
          endpoint: socket.map { .unix(path: $0) } ?? .tcp(host: backend.host, port: backend.port)))
    }
    if servers.isEmpty { throw section.error(at: "servers", "at least one Docker daemon is needed") }
    port = try section.int("container_port", in: 1...65_535)
    interval = try source.interval(default: interval)
  }

  var place: String { "docker \(image) on \(servers.map(\.host).joined(separator: ","))" }

  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    let parts = servers.map { server in
      PolledPart(place: "docker at \(server.endpoint)") {
        let request = HTTPRequest(endpoint: server.endpoint, target: "/containers/json")
        return try reading(try await RegistryAnswer.json(request), of: server)
      }
    }
    return PollWatcher(every: interval, of: parts, environment: environment)
  }
}

/// Containers of one image that forward one port, by the HTTP interface of Docker and podman.
extension DockerDiscovery {
  /// The containers of the image that forward the port.
  func reading(_ answer: JSONValue, of server: Server) throws(RegistryError) -> RegistryReading {
    guard let containers = answer.array else { throw .unexpected("it is not a list") }
    var reading = RegistryReading()
    for container in containers {
      guard let image = container["Image"]?.string, DockerDiscovery.matches(image, wanted: self.image) else { continue }
      guard let port = DockerDiscovery.publicPort(of: self.port, in: container["Ports"]) else { continue }
      reading.backends.append(Backend(name: server.name, host: server.host, port: port))
    }
    // The daemon's order is that of their starts, which does not matter.
    reading.backends.sort { $0.port < $1.port }
    return reading
  }

  /// Whether a container's image is the one that is looked for; its tag does not count unless it is asked for.
  static func matches(_ image: String, wanted: String) -> Bool {
    if image == wanted { return true }
    // A colon before the last slash belongs to the registry's port.
    let start = image.lastIndex(of: "/") ?? image.startIndex
    guard let colon = image[start...].firstIndex(where: { $0 == ":" || $0 == "@" }) else { return false }
    return image[..<colon] == wanted
  }

  /// A list of objects, or, as of very old daemons, `0.0.0.0:49153->6379/tcp, …`.
  static func publicPort(of wanted: Int, in ports: JSONValue?) -> Int? {
    let numbers: [Int]
    if let list = ports?.array {
      numbers = list.filter { $0["PrivatePort"]?.int == wanted }.compactMap { $0["PublicPort"]?.int }
    } else {
      numbers = (ports?.string ?? "").split(separator: ",").compactMap { pair in
        guard let arrow = pair.firstIndex(of: ">") else { return nil }
        let inside = pair[pair.index(after: arrow)...].prefix { $0 != "/" }
        let outside = pair[..<arrow].dropLast().split(separator: ":").last ?? ""
        return Int(inside) == wanted ? Int(outside) : nil
      }
    }
    return numbers.first { (1...65_535).contains($0) }
  }
}

public import Reactor
internal import SmartStack

/// A `discovery` section with method docker.
public struct DockerDiscovery: Hashable, Sendable {
  /// One daemon.
  public struct Server: Hashable, Sendable {
    /// Part of its containers' names in HAProxy.
    public var name: String?
    /// Where its containers' ports are reached.
    public var host: String
    /// Where its interface is: `host` and `port`, or `socket`.
    public var endpoint: Endpoint
  }

  /// Asked separately.
  public var servers: [Server]
  /// Without a tag, or with one: then only that one counts.
  public var image: String
  /// The port inside the container.
  public var port: Int
  /// `check_interval`
  public var interval: Duration = .seconds(15)
}

/// Containers of one image that forward one port, by the HTTP interface of Docker and podman.
enum Docker {
  static func part(_ server: DockerDiscovery.Server, _ discovery: DockerDiscovery) -> PolledPart {
    PolledPart(place: "docker at \(server.endpoint)") {
      let request = HTTPRequest(endpoint: server.endpoint, target: "/containers/json")
      return try reading(try await RegistryAnswer.json(request), server, discovery)
    }
  }

  /// - Throws: ``RegistryError``.
  static func reading(
    _ answer: JSONValue, _ server: DockerDiscovery.Server, _ discovery: DockerDiscovery
  ) throws(RegistryError) -> PartReading {
    guard let containers = answer.array else { throw .unexpected("it is no list") }
    var reading = PartReading()
    for container in containers {
      guard let image = container["Image"]?.string, matches(image, discovery.image) else { continue }
      guard let port = publicPort(container["Ports"], of: discovery.port) else { continue }
      reading.backends.append(Backend(name: server.name, host: server.host, port: port))
    }
    // The daemon's order is that of their starts, which does not matter.
    reading.backends.sort { $0.port < $1.port }
    return reading
  }

  /// Whether a container's image is the one that is looked for; its tag does not count unless it is asked for.
  static func matches(_ image: String, _ wanted: String) -> Bool {
    if image == wanted { return true }
    // A colon before the last slash belongs to the registry's port.
    let start = image.lastIndex(of: "/") ?? image.startIndex
    guard let colon = image[start...].firstIndex(where: { $0 == ":" || $0 == "@" }) else { return false }
    return image[..<colon] == wanted
  }

  /// A list of objects, or, as of very old daemons, `0.0.0.0:49153->6379/tcp, …`.
  static func publicPort(_ ports: JSONValue?, of wanted: Int) -> Int? {
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

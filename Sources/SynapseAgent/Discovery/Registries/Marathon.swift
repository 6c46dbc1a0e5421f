internal import Reactor
internal import SmartStack

/// A `discovery` section with method marathon.
public struct MarathonDiscovery: Hashable, Sendable {
  /// `marathon_api_url` and `marathon_api_path`, with the application in its place.
  public var address: WebAddress
  /// Which of a task's ports.
  public var portIndex: Int = 0
  /// `check_interval`
  public var interval: Duration = .seconds(10)
}

/// The tasks of one Marathon application.
enum Marathon {
  static func part(_ discovery: MarathonDiscovery) -> PolledPart {
    PolledPart(place: discovery.address.description) {
      let request = HTTPRequest(
        endpoint: discovery.address.endpoint, tls: discovery.address.tls, target: discovery.address.target,
        headers: [HTTPHeader(name: "Accept", value: "application/json")])
      return try reading(try await RegistryAnswer.json(request), portIndex: discovery.portIndex)
    }
  }

  /// The started tasks, sorted by host and port.
  /// - Throws: ``RegistryError``.
  static func reading(_ answer: JSONValue, portIndex: Int) throws(RegistryError) -> PartReading {
    guard let object = answer.object else { throw .unexpected("it is no object") }
    // An application without tasks may have no list at all.
    guard let tasks = (object["tasks"] ?? .array([])).array else { throw .unexpected("tasks is no list") }
    var reading = PartReading()
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

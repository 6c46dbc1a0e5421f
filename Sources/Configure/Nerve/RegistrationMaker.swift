internal import SmartStack
internal import YAMLConfig

/// Makes the entries of `nerve.conf.json` for one service: one per ZooKeeper ensemble it is registered in, and one
/// more each if Envoy listens for it.
struct RegistrationMaker {
  var host: String
  var hacheckPort: Int
  /// The type of location that has ensembles of its own.
  var zooKeeperLocationType: String
  /// `infrastructure`
  var clusterType: String
  /// Weights of static services and of tasks that say nothing.
  var staticWeight: Int
  var taskWeight: Int
  var locations: HostLocations
  var ensembles: Ensembles
  var labels: ServiceLabels
  var listeners: EnvoyListeners

  /// What one service comes to.
  struct Entries {
    var members: [(key: String, value: JSONValue)] = []
    /// Files of labels that are none.
    var labelProblems: [ConfigError]
  }

  /// The ZooKeeper topology files read in this run.
  final class Ensembles {
    private let directory: String
    private let files: SourceFiles
    private var known: [String: Result<[String], ConfigError>] = [:]

    init(directory: String, files: SourceFiles) {
      self.directory = directory
      self.files = files
    }

    func servers(_ name: String, clusterType: String) throws(ConfigError) -> [String] {
      if let result = known[name] { return try result.get() }
      let result = Result { () throws(ConfigError) in
        try ZooKeeperTopology.servers("\(directory)/\(clusterType)/\(name).yaml", files: files)
      }
      known[name] = result
      return try result.get()
    }

    /// Those that could not be read, by name.
    var failures: [(name: String, error: ConfigError)] {
      known.sorted { $0.key < $1.key }.compactMap { name, result in
        if case .failure(let error) = result { (name, error) } else { nil }
      }
    }
  }

  /// The entries by their keys. An ensemble whose topology file cannot be read has none.
  /// - Throws: a location that the service asks for and that is not there, or the host's own.
  func entries(_ facts: ServiceFacts, isStatic: Bool) throws(LocationError) -> Entries {
    let (given, problems) = labels.labels(of: facts.name, port: facts.port)
    var byEnsemble: [String: JSONObject] = [:]
    for location in try advertised(facts) {
      for ensemble in try ensembleNames(location) {
        byEnsemble[ensemble, default: given][
          "\(location.type):\(location.name)"] =
          ""
      }
    }
    let weight = facts.weight ?? .int(isStatic ? staticWeight : taskWeight)
    let address = facts.serviceIP ?? host
    var entries = Entries(labelProblems: problems)
    for (ensemble, labels) in byEnsemble.sorted(by: { $0.key < $1.key }) {
      guard let servers = try? ensembles.servers(ensemble, clusterType: clusterType) else { continue }
      var labels = labels
      for (name, value) in facts.labels.members { labels[name] = value }
      var common: JSONObject = [
        "zk_hosts": .array(servers.map(JSONValue.string)),
        "zk_cluster_name": .string("\(clusterType)-\(ensemble)"), "labels": .object(labels), "weight": weight,
        "check_interval": .double(facts.timeoutSeconds + 1),
      ]
      let key = "\(facts.name).\(ensemble):\(address).\(facts.port)"
      common["host"] = .string(address)
      common["port"] = .int(facts.port)
      common["zk_path"] = .string("/smartstack/global/\(facts.name)")
      common["checks"] = [.object(check(facts))]
      entries.members.append((key + ".v2.new", .object(common)))
      if let port = listeners.port(of: facts.name, ip: facts.serviceIP, port: facts.port) {
        common["host"] = .string(host)
        common["port"] = .int(port)
        common["zk_path"] = .string("/envoy/global/\(facts.name)")
        common["checks"] = [.object(envoyCheck(facts, port: port))]
        entries.members.append((key, .object(common)))
      }
    }
    return entries
  }

  // MARK: Where

  /// The host's own locations of the advertised types, and those of `extra_advertise` that count here.
  private func advertised(_ facts: ServiceFacts) throws(LocationError) -> [ServiceFacts.Location] {
    var found: [ServiceFacts.Location] = []
    var seen: Set<ServiceFacts.Location> = []
    for type in facts.advertise {
      let own = ServiceFacts.Location(type: type, name: try locations.current(type))
      if seen.insert(own).inserted { found.append(own) }
    }
    for pair in facts.extraAdvertise where try locations.current(pair.source.type) == pair.source.name {
      // Never more general than what was asked for: more hosts would see the service than its owner wants.
      for type in facts.advertise where try locations.hierarchy.compare(pair.destination.type, type) <= 0 {
        let names = try locations.hierarchy.convert(pair.destination.name, from: pair.destination.type, to: type)
        for name in names {
          let location = ServiceFacts.Location(type: type, name: name)
          if seen.insert(location).inserted { found.append(location) }
        }
      }
    }
    return found
  }

  private func ensembleNames(_ location: ServiceFacts.Location) throws(LocationError) -> [String] {
    if try location.name == locations.current(location.type) {
      return try locations.convertCurrent(location.type, to: zooKeeperLocationType)
    }
    return try locations.hierarchy.convert(location.name, from: location.type, to: zooKeeperLocationType)
  }

  // MARK: Checks

  /// hacheck is asked, which asks the service.
  private func check(_ facts: ServiceFacts) -> JSONObject {
    var headers = facts.headers
    headers["x-smartstack-target-identity"] = .string(facts.name)
    var check = hacheckCheck(
      facts, host: facts.hacheckIP, headers: headers,
      uri: "/\(facts.mode)/\(facts.name)/\(facts.healthcheckPort)/\(facts.uri)")
    if let expect = facts.expect { check["expect"] = expect }
    return check
  }

  /// The service is asked through Envoy, which has TLS in front of HTTP and goes by the header Host.
  private func envoyCheck(_ facts: ServiceFacts, port: Int) -> JSONObject {
    var headers = facts.headers
    headers["Host"] = .string(facts.name)
    let mode = facts.mode == "http" ? "https" : facts.mode
    return hacheckCheck(facts, host: host, headers: headers, uri: "/\(mode)/\(facts.name)/\(port)/\(facts.uri)")
  }

  private func hacheckCheck(_ facts: ServiceFacts, host: String, headers: JSONObject, uri: String) -> JSONObject {
    [
      "type": "http", "host": .string(host), "port": .int(hacheckPort), "uri": .string(uri), "timeout": facts.timeout,
      "open_timeout": facts.timeout, "rise": 1, "fall": 2, "headers": .object(headers),
    ]
  }
}

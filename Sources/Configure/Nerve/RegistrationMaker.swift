internal import SmartStack
internal import YAMLConfig

/// Makes the entries of `nerve.conf.json` for one service: one per ZooKeeper ensemble it is registered in, and one
/// more each if Envoy listens for it.
struct RegistrationMaker {
  var options: ConfigureNerveOptions
  /// The address that is registered.
  var host: String
  var locations: HostLocations
  /// The directory of the ZooKeeper topology files.
  var topology: String
  var labels: ServiceLabels
  var listeners: EnvoyListeners
  var files: SourceFiles
  /// The ensembles whose topology files could not be read, by name.
  private(set) var failures: [String: ConfigError] = [:]

  /// The entries by their keys, and the label files that cannot be used. An ensemble whose topology file cannot be read
  /// has none.
  /// - Throws: for a location that the service asks for and that is not there, or the host's own.
  mutating func entries(
    of service: LocalService, port: Int
  ) throws -> (members: [(key: String, value: JSONValue)], labelProblems: [ConfigError]) {
    let (given, problems) = labels.labels(of: service.name, port: port)
    var byEnsemble: [String: JSONObject] = [:]
    for (location, ensembles) in try advertised(service.namespace) {
      for ensemble in ensembles { byEnsemble[ensemble, default: given]["\(location.type):\(location.name)"] = "" }
    }
    let instance = service.namespace.instance
    let weight = instance.weight ?? .int(service.isStatic ? options.inputs.weight ?? 10 : 10)
    let address = instance.address ?? host
    var members: [(key: String, value: JSONValue)] = []
    for (ensemble, labels) in byEnsemble.sorted(by: { $0.key < $1.key }) {
      let servers: [String]
      do throws(ConfigError) {
        servers = try files.zooKeeperServers("\(topology)/\(ensemble).yaml")
      } catch {
        failures[ensemble] = error
        continue
      }
      var labels = labels
      for (name, value) in instance.labels.members { labels[name] = value }
      var common: JSONObject = [
        "zk_hosts": .array(servers.map(JSONValue.string)),
        "zk_cluster_name": .string("\(options.inputs.zkClusterType)-\(ensemble)"), "labels": .object(labels),
        "weight": weight,
        "check_interval": .double(service.namespace.health.seconds + 1),
      ]
      let key = "\(service.name).\(ensemble):\(address).\(port)"
      common["host"] = .string(address)
      common["port"] = .int(port)
      common["zk_path"] = .string("/smartstack/global/\(service.name)")
      common["checks"] = [.object(check(of: service, port: port))]
      members.append((key + ".v2.new", .object(common)))
      if let envoy = listeners.port(of: service.name, ip: instance.address, port: port) {
        common["host"] = .string(host)
        common["port"] = .int(envoy)
        common["zk_path"] = .string("/envoy/global/\(service.name)")
        common["checks"] = [.object(envoyCheck(of: service, port: envoy))]
        members.append((key, .object(common)))
      }
    }
    return (members, problems)
  }

  // MARK: Where

  /// The host's own locations of the advertised types, and those of `extra_advertise` that count here, with the
  /// ensembles that each is registered in.
  private func advertised(
    _ namespace: SmartStackNamespace
  ) throws -> [(location: SmartStackNamespace.Location, ensembles: [String])] {
    var found: [(location: SmartStackNamespace.Location, ensembles: [String])] = []
    var seen: Set<SmartStackNamespace.Location> = []
    func add(_ location: SmartStackNamespace.Location) throws(LocationError) {
      if seen.insert(location).inserted { found.append((location, try ensembleNames(location))) }
    }
    for type in namespace.advertise {
      do throws(LocationError) {
        try add(SmartStackNamespace.Location(type: type, name: try locations.current(type)))
      } catch {
        throw error.isHosts ? error : namespace.error(at: type, error)
      }
    }
    for pair in namespace.extraAdvertise {
      let destination = pair.destination
      do throws(LocationError) {
        guard try locations.current(pair.source.type) == pair.source.name else { continue }
        // Never more general than what was asked for: more hosts would see the service than its owner wants.
        for type in namespace.advertise where try locations.hierarchy.compare(destination.type, with: type) <= 0 {
          for name in try locations.hierarchy.convert(destination.name, from: destination.type, to: type) {
            try add(SmartStackNamespace.Location(type: type, name: name))
          }
        }
      } catch {
        if error.isHosts { throw error }
        throw pair.node.error(error.description)
      }
    }
    return found
  }

  private func ensembleNames(_ location: SmartStackNamespace.Location) throws(LocationError) -> [String] {
    if try location.name == locations.current(location.type) {
      return try locations.convertCurrent(location.type, to: options.inputs.zkLocationType)
    }
    return try locations.hierarchy.convert(location.name, from: location.type, to: options.inputs.zkLocationType)
  }

  // MARK: Checks

  /// nerve asks hacheck, which asks the service.
  private func check(of service: LocalService, port: Int) -> JSONObject {
    var headers = service.namespace.health.headersJSON
    headers["x-smartstack-target-identity"] = .string(service.name)
    var check = hacheckCheck(
      of: service, host: service.namespace.instance.hacheck, headers: headers, mode: mode(of: service),
      port: service.namespace.health.port ?? port)
    if let expect = service.namespace.health.expect { check["expect"] = expect }
    return check
  }

  /// hacheck asks through Envoy, which has TLS in front of HTTP and goes by the header Host.
  private func envoyCheck(of service: LocalService, port: Int) -> JSONObject {
    var headers = service.namespace.health.headersJSON
    headers["Host"] = .string(service.name)
    let mode = mode(of: service)
    return hacheckCheck(of: service, host: host, headers: headers, mode: mode == "http" ? "https" : mode, port: port)
  }

  private func mode(of service: LocalService) -> String {
    service.namespace.health.mode ?? service.namespace.mode ?? "http"
  }

  private func hacheckCheck(
    of service: LocalService, host: String, headers: JSONObject, mode: String, port: Int
  ) -> JSONObject {
    let health = service.namespace.health
    return [
      "type": "http", "host": .string(host), "port": .int(options.inputs.hacheckPort),
      "uri": .string("/\(mode)/\(service.name)/\(port)/\(health.uri.drop { $0 == "/" })"), "timeout": health.timeout,
      "open_timeout": health.timeout, "rise": 1, "fall": 2, "headers": .object(headers),
    ]
  }
}

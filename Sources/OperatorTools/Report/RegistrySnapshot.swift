internal import Configure
internal import Reactor
internal import Registry
internal import SmartStack
internal import SynapseAgent
internal import YAMLConfig
internal import ZooKeeper

@LoopActor extension ReplicationPlaces {
  /// The names of all services: those of the synapse.conf.json, else those of soa-configs that have a smartstack.yaml.
  func allServices() async throws -> [String] {
    if let path = synapseConfig { return try await SynapseProgram.load(path).services.map(\.name) }
    let directory = ServiceDirectory(path: servicesDirectory, files: SourceFiles())
    var names: [String] = []
    for service in try directory.services() {
      names += try directory.namespaces(of: service).map { "\(service).\($0.name)" }
    }
    return names
  }

  /// Reads everything that is registered for services, at all locations.
  /// - Returns: the registrations by service.
  /// - Throws: when the registry, or what says where it is, cannot be read.
  func registrations(
    of services: [String], files: SourceFiles
  ) async throws -> [String: [Backend]] {
    var configuration = SynapseConfiguration(file: synapseConfig ?? "")
    configuration.firstDataDeadline = .seconds(timeout)
    let place: String
    if let path = synapseConfig {
      let active = try await SynapseProgram.load(path)
      configuration.services = try configured(services, in: active)
      configuration.tls = active.tls
      place = path
    } else {
      let ensemble = try ensemble(files)
      configuration.services = services.map { name in
        let discovery = ZooKeeperDiscovery(ensemble: ensemble, path: "/smartstack/global/\(name)")
        return ServiceConfiguration(name: name, discovery: Discovery(discovery))
      }
      configuration.tls = try files.zooKeeperTLS(zkTls)
      place = ensemble.description
    }
    let (servers, silent) = await configuration.liveServices()
    guard silent.isEmpty else {
      let names = silent.sorted().prefix(5).joined(separator: ", ")
      throw OperatorError(
        "the registry (\(place)) has no answer for \(names) within \(configuration.firstDataDeadline); does it run?")
    }
    return servers
  }

  private func ensemble(_ files: SourceFiles) throws(OperatorError) -> ServerList {
    if !zookeeper.isEmpty { return try ServerList(zookeeper) }
    do {
      return try ServerList(files.zooKeeperServers(zkTopologyPath))
    } catch {
      throw OperatorError("\(error); name the registry with --zookeeper HOST:PORT or --synapse-config FILE")
    }
  }

  /// The services as synapse finds them, but for the filters by which it takes only this host's neighbours.
  private func configured(
    _ names: [String], in configuration: SynapseConfiguration
  ) throws(OperatorError) -> [ServiceConfiguration] {
    var services: [ServiceConfiguration] = []
    for name in names {
      guard let service = configuration.services.first(where: { $0.name == name }) else {
        let reason = configuration.skipped.first { $0.name == name }?.description
        throw OperatorError(reason ?? "\(configuration.file) has no service '\(name)'")
      }
      var plain = ServiceConfiguration(name: name, discovery: service.discovery.unfiltered)
      plain.rules.portOverride = service.rules.portOverride
      services.append(plain)
    }
    return services
  }
}

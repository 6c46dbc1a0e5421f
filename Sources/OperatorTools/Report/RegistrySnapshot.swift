internal import Configure
internal import Reactor
internal import Registry
internal import SmartStack
internal import SynapseAgent
internal import YAMLConfig

/// Everything that is registered for services, at all locations.
@LoopActor struct RegistrySnapshot {
  let options: ReplicationOptions
  let files: SourceFiles

  /// - Returns: the registrations by service.
  /// - Throws: ``CommandFailure`` when the registry, or what says where it is, cannot be read.
  func read(_ services: [String]) async throws(CommandFailure) -> [String: [Backend]] {
    var configuration = SynapseConfiguration(file: options.configuration ?? "")
    configuration.firstDataDeadline = options.registryDeadline
    let place: String
    if let path = options.configuration {
      configuration.services = try await configured(services, in: path)
      place = path
    } else {
      let hosts = try hosts()
      configuration.services = services.map { name in
        let discovery = ZooKeeperDiscovery(hosts: hosts, path: "/smartstack/global/\(name)")
        return ServiceConfiguration(name: name, discovery: Discovery(discovery))
      }
      place = hosts.joined(separator: ",")
    }
    let (servers, silent) = await LiveServices.read(configuration)
    guard silent.isEmpty else {
      let names = silent.sorted().prefix(5).joined(separator: ", ")
      throw CommandFailure(
        "the registry (\(place)) has no answer for \(names) within \(options.registryDeadline); does it run?")
    }
    return servers
  }

  private func hosts() throws(CommandFailure) -> [String] {
    if !options.zooKeepers.isEmpty { return options.zooKeepers }
    do throws(ConfigError) {
      return try files.zooKeeperServers(options.topologyPath)
    } catch {
      throw CommandFailure("\(error); name the registry with --zookeeper HOST:PORT or --synapse-config FILE")
    }
  }

  /// The services as synapse finds them, but for the filters by which it takes only this host's neighbours.
  private func configured(_ names: [String], in path: String) async throws(CommandFailure) -> [ServiceConfiguration] {
    let configuration: SynapseConfiguration
    do { configuration = try await SynapseProgram.load(path) } catch { throw CommandFailure("\(error)") }
    var services: [ServiceConfiguration] = []
    for name in names {
      guard let service = configuration.services.first(where: { $0.name == name }) else {
        let reason = configuration.skipped.first { $0.name == name }?.description
        throw CommandFailure(reason ?? "\(path) has no service '\(name)'")
      }
      var plain = ServiceConfiguration(name: name, discovery: service.discovery.unfiltered)
      plain.rules.portOverride = service.rules.portOverride
      services.append(plain)
    }
    return services
  }
}

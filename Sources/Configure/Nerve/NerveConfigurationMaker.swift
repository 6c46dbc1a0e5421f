internal import NerveAgent
internal import SmartStack
internal import YAMLConfig

/// What the answers of the sources come to on this host, without writing anything. Blocks, as files do.
struct NerveConfigurationMaker: Sendable {
  var options: ConfigureNerveOptions
  var host: HostIdentity
  var listeners: EnvoyListeners
  /// The file in force; nil if there is none.
  var previous: [UInt8]?
  var accepted = AcceptedEntries()

  /// Reads what services the answers mean.
  /// - Throws: when a source is of no use.
  func localServices(
    of answers: [(source: ServicesSource, answer: SourceAnswer)], files: SourceFiles
  ) throws -> LocalServices {
    let services = ServiceDirectory(path: options.servicesDirectory, files: files)
    // A host without them is named when the configuration is made; a list of services does not need them.
    let types = try? LocationHierarchy(directory: options.servicesDirectory, files: files).types
    var all = LocalServices()
    for (source, answer) in answers {
      switch answer {
      case .nothing: break
      case .tasks(let state, let cluster):
        let marathon = MarathonServices(
          services: services, types: types, cluster: cluster, checkAddress: host.address ?? "127.0.0.1")
        all += marathon.local(state)
      case .directory(let path):
        do throws(ConfigError) {
          all += try StaticServices(services: services, types: types, directory: path, files: files).local()
        } catch {
          throw SourceFailure(source: source, problem: "\(error); nothing is changed")
        }
      case .list(let bytes): all += try LocalServices(listed: bytes, by: source, types: types)
      }
    }
    return all
  }

  /// Makes the configuration.
  /// - Throws: ``HostFailure`` when the host's own data are at fault.
  func make(_ local: LocalServices, files: SourceFiles) throws -> GeneratedNerveConfiguration {
    let maker = try registrationMaker(files)
    var skipped = local.remarks
    var entries = JSONObject()
    lazy var inForce = PreviousRegistrations(previous)
    for service in local.services {
      guard let port = service.instance.port, !service.namespace.advertise.isEmpty else { continue }
      do {
        let (members, problems) = try maker.entries(of: service, port: port)
        // Without its labels a service is not found where it was: what is in force stays while a file of them is bad.
        for (key, value) in members { entries[key] = problems.isEmpty ? value : inForce.registration(key) ?? value }
        if !problems.isEmpty {
          skipped.append(
            SkippedService(
              name: service.name, port: port, consequence: .labelsKept, problems: problems.map(\.description)))
        }
      } catch let error as LocationError where error.isHosts {
        throw HostFailure(description: "\(error)")
      } catch {
        skipped.append(SkippedService(name: service.name, port: port, problems: ["\(error)"]))
      }
    }
    let failures = maker.ensembles.failures
    if !skipped.isEmpty || !failures.isEmpty {
      try refuseLosing(failures, inForce: inForce)
      for service in skipped where service.consequence == .skipped {
        for (key, value) in inForce.registrations(of: service) where entries[key] == nil { entries[key] = value }
      }
    }
    var bytes = file(entries)
    if options.nerveExecutable == nil, !(try dropWhatNerveRefuses(of: bytes, in: &entries, problems: &skipped)) {
      bytes = file(entries)
    }
    return GeneratedNerveConfiguration(
      instanceID: host.name, bytes: bytes, registrationCount: entries.count, skipped: skipped,
      warnings: failures.map { "\($0.error); nothing is registered there" },
      serviceCount: local.services.count, accepted: AcceptedEntries(host: host, entries: entries))
  }

  private func file(_ entries: JSONObject) -> [UInt8] {
    let root: JSONValue = [
      "instance_id": .string(host.name), "heartbeat_path": .string(options.heartbeatPath), "services": .object(entries),
    ]
    return root.bytes(.pythonPretty)
  }

  private func registrationMaker(_ files: SourceFiles) throws -> RegistrationMaker {
    guard let address = host.address else {
      throw HostFailure(
        description: "this host's name '\(host.name)' has no IPv4 address to register; put it into /etc/hosts, or give "
          + "--host-address")
    }
    do {
      let hierarchy = try LocationHierarchy(directory: options.servicesDirectory, files: files)
      _ = try hierarchy.rank(of: options.zooKeeperLocationType)
      return RegistrationMaker(
        host: address, hacheckPort: options.hacheckPort, zooKeeperLocationType: options.zooKeeperLocationType,
        clusterType: options.clusterType, staticWeight: options.weight ?? 10, taskWeight: 10,
        locations: HostLocations(hierarchy: hierarchy, directory: options.locationsDirectory, files: files),
        ensembles: RegistrationMaker.Ensembles(directory: options.topologyDirectory, files: files),
        labels: try ServiceLabels(directory: options.labelsDirectory, files: files), listeners: listeners)
    } catch let error as LocationError {
      throw HostFailure(description: "--zk-location-type: \(error)")
    } catch {
      throw HostFailure(description: "\(error)")
    }
  }

  /// A topology file that went bad must not take registrations away.
  private func refuseLosing(
    _ failures: [(name: String, error: ConfigError)], inForce: PreviousRegistrations
  ) throws {
    for (name, error) in failures {
      let count = inForce.count(in: "\(options.clusterType)-\(name)")
      if count > 0 {
        throw HostFailure(
          description:
            "\(error); \(count) registrations of the file in force are in this ensemble, so it stays as it is")
      }
    }
  }

  private func read(_ bytes: [UInt8]) throws(ConfigError) -> NerveConfiguration {
    try NerveConfiguration.load(try YAMLDocument(bytes, file: options.configuration))
  }

  /// Takes out the entries that nerve's own reader refuses, with its words.
  /// - Returns: whether nothing had to go.
  private func dropWhatNerveRefuses(
    of bytes: [UInt8], in entries: inout JSONObject, problems: inout [SkippedService]
  ) throws -> Bool {
    // A problem is looked for again in the whole file, where it has its line.
    let unknown = accepted.unknown(of: entries, host: host)
    if unknown.isEmpty, accepted.host == host { return true }
    if let read = try? read(file(unknown)), read.problems.isEmpty { return true }
    do throws(ConfigError) {
      let read = try read(bytes)
      for key in read.badServices { entries[key] = nil }
      problems += read.problems.map {
        SkippedService(problems: ["nerve refuses a registration of the new configuration: \($0)"])
      }
      return read.badServices.isEmpty
    } catch {
      throw HostFailure(description: "nerve would refuse the new configuration: \(error)")
    }
  }
}

/// Something of this host that is wrong for every service: nothing is written.
struct HostFailure: Error, Equatable, CustomStringConvertible {
  let description: String
}

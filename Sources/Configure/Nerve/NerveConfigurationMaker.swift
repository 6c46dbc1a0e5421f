internal import NerveAgent
internal import SmartStack
internal import YAMLConfig

/// What the answers of the sources come to on this host, without writing anything. Blocks, as files do.
struct NerveConfigurationMaker: Sendable {
  var options: ConfigureNerveOptions
  var host: HostIdentity
  var listeners: EnvoyListeners
  /// The current file; nil if there is none.
  var previous: [UInt8]?
  /// Entries that nerve's own reader accepted in the last run, and whose name stood at their top: it judges each by itself,
  /// so the same ones need no second look.
  var accepted: (host: HostIdentity, entries: JSONObject)?

  /// Reads what services the answers mean.
  /// - Throws: when a source is not usable.
  func localServices(
    of answers: [(source: ServicesSource, answer: SourceAnswer)], files: SourceFiles
  ) throws -> LocalServices {
    let services = ServiceDirectory(path: options.servicesDirectory, files: files)
    // A host without them is named when the configuration is made; a list of services does not need them.
    let types = try? LocationHierarchy(directory: options.servicesDirectory, files: files).types
    let reader = LocalServiceReader(services: services, types: types)
    var all = LocalServices()
    for (source, answer) in answers {
      switch answer {
      case .nothing: break
      case .tasks(let state, let cluster):
        all += reader.services(of: state, cluster: cluster, checkAddress: host.address ?? "127.0.0.1")
      case .directory(let path):
        do throws(ConfigError) { all += try reader.services(in: path) } catch {
          throw source.failure("\(error); nothing is changed")
        }
      case .list(let bytes): all += try reader.services(listed: bytes, by: source)
      }
    }
    return all
  }

  /// Makes the configuration.
  /// - Throws: when the host's own data are at fault: then nothing is written.
  func make(_ local: LocalServices, files: SourceFiles) throws -> GeneratedNerveConfiguration {
    let maker = try registrationMaker(files)
    var skipped = local.remarks
    var entries = JSONObject()
    lazy var current = PreviousRegistrations(previous)
    for service in local.services {
      guard let port = service.namespace.instance.port, !service.namespace.advertise.isEmpty else { continue }
      do {
        let (members, problems) = try maker.entries(of: service, port: port)
        // Without its labels a service is not found where it was: the current entry stays while a file of them is bad.
        for (key, value) in members { entries[key] = problems.isEmpty ? value : current.registration(key) ?? value }
        if !problems.isEmpty {
          skipped.append(
            SkippedService(
              name: service.name, port: port, consequence: .labelsKept, problems: problems.map(\.description)))
        }
      } catch let error as LocationError where error.isHosts {
        throw OperatorError("\(error)")
      } catch {
        skipped.append(SkippedService(name: service.name, port: port, problems: ["\(error)"]))
      }
    }
    let failures = maker.ensembles.failures
    if !skipped.isEmpty || !failures.isEmpty {
      try refuseLosing(failures, current: current)
      for service in skipped where service.consequence == .skipped {
        for (key, value) in current.registrations(of: service) where entries[key] == nil { entries[key] = value }
      }
    }
    var bytes = file(entries)
    if options.nerveExecutable == nil, !(try dropWhatNerveRefuses(of: bytes, in: &entries, problems: &skipped)) {
      bytes = file(entries)
    }
    return GeneratedNerveConfiguration(
      host: host, entries: entries, bytes: bytes, skipped: skipped,
      warnings: failures.map { "\($0.error); nothing is registered there" }, serviceCount: local.services.count)
  }

  private func file(_ entries: JSONObject) -> [UInt8] {
    let root: JSONValue = [
      "instance_id": .string(host.name), "heartbeat_path": .string(options.heartbeatPath), "services": .object(entries),
    ]
    return root.bytes(.pythonPretty)
  }

  private func registrationMaker(_ files: SourceFiles) throws -> RegistrationMaker {
    guard let address = host.address else {
      throw OperatorError(
        "this host's name '\(host.name)' has no IPv4 address to register; put it into /etc/hosts, or give --host-address"
      )
    }
    do {
      let hierarchy = try LocationHierarchy(directory: options.servicesDirectory, files: files)
      _ = try hierarchy.rank(of: options.zooKeeperLocationType)
      return RegistrationMaker(
        options: options, host: address,
        locations: HostLocations(hierarchy: hierarchy, directory: options.locationsDirectory, files: files),
        ensembles: RegistrationMaker.Ensembles(
          directory: "\(options.topologyDirectory)/\(options.clusterType)", files: files),
        labels: try ServiceLabels(directory: options.labelsDirectory, files: files), listeners: listeners)
    } catch let error as LocationError {
      throw OperatorError("--zk-location-type: \(error)")
    } catch {
      throw OperatorError("\(error)")
    }
  }

  /// A topology file that went bad must not take registrations away.
  private func refuseLosing(
    _ failures: [(name: String, error: ConfigError)], current: PreviousRegistrations
  ) throws {
    for (name, error) in failures {
      let count = current.count(in: "\(options.clusterType)-\(name)")
      if count > 0 {
        throw OperatorError(
          "\(error); the current file has \(count.of("registration")) in this ensemble, so it stays as it is")
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
    var unknown = entries
    if let accepted, accepted.host == host {
      for (key, value) in entries.members where accepted.entries[key] == value { unknown[key] = nil }
      if unknown.isEmpty { return true }
    }
    if let read = try? read(file(unknown)), read.problems.isEmpty { return true }
    do throws(ConfigError) {
      let read = try read(bytes)
      for key in read.badServices { entries[key] = nil }
      problems += read.problems.map {
        SkippedService(problems: ["nerve refuses a registration of the new configuration: \($0)"])
      }
      return read.badServices.isEmpty
    } catch {
      throw OperatorError("nerve would refuse the new configuration: \(error)")
    }
  }
}

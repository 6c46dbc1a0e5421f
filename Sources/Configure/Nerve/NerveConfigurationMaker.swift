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
    let services = ServiceDirectory(path: options.inputs.soaDir, files: files)
    // A host without them is named when the configuration is made; a list of services does not need them.
    let types = try? LocationHierarchy(directory: options.inputs.soaDir, files: files).types
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
    var maker = try registrationMaker(files)
    var skipped = local.remarks
    var entries = JSONObject()
    var owners: [String: SmartStackNamespace] = [:]
    lazy var current = PreviousRegistrations(previous)
    for service in local.services {
      guard let port = service.namespace.instance.port, !service.namespace.advertise.isEmpty else { continue }
      do {
        let (members, problems) = try maker.entries(of: service, port: port)
        // Without its labels a service is not found where it was: the current entry stays while a file of them is bad.
        for (key, value) in members {
          entries[key] = problems.isEmpty ? value : current.registration(key) ?? value
          owners[key] = service.namespace
        }
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
    let failures = maker.failures.sorted { $0.key < $1.key }
    if !skipped.isEmpty || !failures.isEmpty {
      try refuseLosing(failures, current: current)
      for index in skipped.indices where skipped[index].consequence == .skipped {
        for (key, value) in current.registrations(of: skipped[index]) where entries[key] == nil {
          entries[key] = value
          skipped[index].consequence = .kept
        }
      }
    }
    let refused = options.outputs.nerveExecutablePath == nil ? try refusals(of: entries) : []
    if !refused.isEmpty { skipped += try replace(refused, in: &entries, of: owners, current: current) }
    return GeneratedNerveConfiguration(
      host: host, entries: entries, bytes: file(entries), skipped: skipped,
      warnings: failures.map { "\($0.value); nothing is registered there" }, serviceCount: local.services.count)
  }

  private func file(_ entries: JSONObject) -> [UInt8] {
    var root: JSONObject = [
      "instance_id": .string(host.name), "heartbeat_path": .string(options.outputs.heartbeatPath),
      "services": .object(entries),
    ]
    for (key, value) in PreviousRegistrations.operatorsKeys(of: previous ?? []) { root[key] = value }
    return JSONValue.object(root).bytes(.pythonPretty)
  }

  private func registrationMaker(_ files: SourceFiles) throws -> RegistrationMaker {
    guard let address = host.address else {
      throw OperatorError(
        "this host's name '\(host.name)' has no IPv4 address to register; put it into /etc/hosts, or give --host-address"
      )
    }
    do {
      let hierarchy = try LocationHierarchy(directory: options.inputs.soaDir, files: files)
      _ = try hierarchy.rank(of: options.inputs.zkLocationType)
      return RegistrationMaker(
        options: options, host: address,
        locations: HostLocations(hierarchy: hierarchy, directory: options.inputs.locationDir, files: files),
        topology: "\(options.inputs.zkTopologyDir)/\(options.inputs.zkClusterType)",
        labels: try ServiceLabels(directory: options.inputs.labelsDir, files: files), listeners: listeners, files: files
      )
    } catch let error as LocationError {
      throw OperatorError("--zk-location-type: \(error)")
    } catch {
      throw OperatorError("\(error)")
    }
  }

  /// A topology file that went bad must not take registrations away.
  private func refuseLosing(
    _ failures: [(key: String, value: ConfigError)], current: PreviousRegistrations
  ) throws {
    for (name, error) in failures {
      let count = current.count(in: "\(options.inputs.zkClusterType)-\(name)")
      if count > 0 {
        throw OperatorError(
          "\(error); the current file has \(count.counted("registration")) in this ensemble, so it stays as it is")
      }
    }
  }

  /// Replaces the entries that nerve's own reader refuses by what is in force of them, and takes out those that it does
  /// not accept either.
  /// - Parameter owners: the namespaces that entries were made of, by the entries' keys.
  private func replace(
    _ refused: [(key: String, error: ConfigError)], in entries: inout JSONObject,
    of owners: [String: SmartStackNamespace], current: PreviousRegistrations
  ) throws -> [SkippedService] {
    for (key, _) in refused { entries[key] = current.registration(key) }
    for (key, _) in try refusals(of: entries) { entries[key] = nil }
    return refused.map { key, error in
      let problem = "nerve refuses the registration: \(error.path): \(error.problem)"
      return SkippedService(
        name: owners[key]?.name, consequence: entries[key] == nil ? .skipped : .kept,
        problems: ["\(owners[key]?.error(problem) ?? error)"])
    }
  }

  /// The entries that nerve's own reader refuses, with its words.
  private func refusals(of entries: JSONObject) throws -> [(key: String, error: ConfigError)] {
    var unknown = entries
    if let accepted, accepted.host == host {
      for (key, value) in entries.members where accepted.entries[key] == value { unknown[key] = nil }
      if unknown.isEmpty { return [] }
    }
    do throws(ConfigError) {
      let document = try YAMLDocument(file(unknown), file: options.outputs.nerveConfigPath)
      let read = try NerveConfiguration.load(document)
      return read.badServices.sorted().map { key in
        (
          key,
          read.problems.first { $0.path.contains(key) }
            ?? ConfigError(file: options.outputs.nerveConfigPath, problem: key)
        )
      }
    } catch {
      throw OperatorError("nerve would refuse the new configuration: \(error)")
    }
  }
}

/// The nerve.conf.json that one run makes of everything it read, and what is wrong.
struct GeneratedNerveConfiguration: Sendable {
  var host: HostIdentity
  /// The registrations by key, all accepted by nerve's reader.
  var entries: JSONObject
  /// The file: sorted keys, four blanks, no line break at the end.
  var bytes: [UInt8]
  /// What is not registered as its files say.
  var skipped: [SkippedService]
  /// Worth a line, no failure.
  var warnings: [String]
  /// Local services that were listed.
  var serviceCount: Int

  var lines: [String] { warnings + skipped.flatMap(\.lines) }
  /// Services that are not as their files say.
  var failureCount: Int { skipped.count(where: \.isFailure) }
}

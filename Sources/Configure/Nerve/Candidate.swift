internal import NerveAgent
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// What one run makes of everything it read: the file to be written, and what is wrong.
struct Candidate: Equatable, Sendable {
  /// The name this host registers under.
  var instanceID: String
  /// The file: sorted keys, four blanks, no line break at the end.
  var bytes: [UInt8]
  /// Entries of the file.
  var registrationCount: Int
  /// What is not registered as it should be; makes the run a failure, though the file is written.
  var leftOut: [LeftOut]
  /// Worth a line, no failure.
  var warnings: [String]
  /// Local services that were listed.
  var serviceCount: Int
  /// What nerve's reader takes, for the next candidate.
  var accepted = AcceptedEntries()
}

/// Entries that nerve's own reader had a look at: it judges each by itself, so the same ones need no second look.
struct AcceptedEntries: Equatable, Sendable {
  /// Whose name stands at the top.
  var host: HostIdentity?
  var entries = JSONObject()

  /// Those of `entries` that were not looked at yet.
  func unknown(_ entries: JSONObject, of host: HostIdentity) -> JSONObject {
    guard host == self.host else { return entries }
    var unknown = JSONObject()
    for (key, value) in entries.members where self.entries[key] != value { unknown[key] = value }
    return unknown
  }
}

/// What the answers of the sources come to on this host, without writing anything. Blocks, as files do.
struct CandidateMaker: Sendable {
  var options: ConfigureNerveOptions
  var host: HostIdentity
  var listeners: EnvoyListeners
  /// The file in force; nil if there is none.
  var previous: [UInt8]?
  var accepted = AcceptedEntries()

  /// Reads what services the answers mean.
  /// - Throws: when a source is of no use.
  func localServices(
    _ answers: [(source: ServicesSource, answer: SourceAnswer)], _ files: SourceFiles
  ) throws -> LocalServices {
    let services = ServiceDirectory(path: options.servicesDirectory, files: files)
    var all = LocalServices()
    for (source, answer) in answers {
      switch answer {
      case .nothing: break
      case .tasks(let state, let cluster):
        let marathon = MarathonServices(
          services: services, cluster: cluster, checkAddress: host.address ?? "127.0.0.1")
        all += marathon.local(state)
      case .directory(let path):
        do throws(ConfigError) {
          all += try StaticServices(services: services, directory: path, files: files).local()
        } catch {
          throw SourceFailure(source: source, problem: "\(error); nothing is changed")
        }
      case .list(let bytes): all += try LocalServices(listed: bytes, by: source)
      }
    }
    return all
  }

  /// Makes the candidate.
  /// - Throws: ``HostFailure`` when the host's own data are at fault.
  func make(_ local: LocalServices, _ files: SourceFiles) throws -> Candidate {
    let maker = try registrationMaker(files)
    var leftOut = local.leftOut
    var entries = JSONObject()
    lazy var inForce = PreviousRegistrations(previous)
    for service in local.services {
      do {
        guard let facts = try ServiceFacts(service) else { continue }
        let made = try maker.entries(facts, isStatic: service.isStatic)
        // Without its labels a service is not found where it was: what is in force stays while a file of them is bad.
        for (key, value) in made.members {
          entries[key] = made.labelProblems.isEmpty ? value : inForce.registration(key) ?? value
        }
        leftOut += made.labelProblems.map {
          LeftOut(service: service.name, port: facts.port, isRegistered: true, problem: "\($0)")
        }
      } catch let error as LocationError where error.isHosts {
        throw HostFailure(description: "\(error)")
      } catch {
        leftOut.append(
          LeftOut(service: service.name, port: service.values["port"]?.wholeNumber, problem: "\(error)"))
      }
    }
    let failures = maker.ensembles.failures
    if !leftOut.isEmpty || !failures.isEmpty {
      try refuseLosingEnsembles(failures, inForce)
      for left in leftOut where !left.isRegistered {
        for (key, value) in inForce.registrations(of: left) where entries[key] == nil { entries[key] = value }
      }
    }
    var bytes = file(entries)
    if options.nerveExecutable == nil, !(try leaveOutWhatNerveRefuses(bytes, &entries, &leftOut)) {
      bytes = file(entries)
    }
    return Candidate(
      instanceID: host.name, bytes: bytes, registrationCount: entries.count, leftOut: leftOut,
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
  private func refuseLosingEnsembles(
    _ failures: [(name: String, error: ConfigError)], _ inForce: PreviousRegistrations
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
    try NerveConfigurationLoader(path: options.configuration).load(
      try YAMLDocument(bytes, file: options.configuration))
  }

  /// Takes out the entries that nerve's own reader refuses, with its words.
  /// - Returns: whether nothing had to go.
  private func leaveOutWhatNerveRefuses(
    _ bytes: [UInt8], _ entries: inout JSONObject, _ leftOut: inout [LeftOut]
  ) throws -> Bool {
    // A problem is looked for again in the whole file, where it has its line.
    let unknown = accepted.unknown(entries, of: host)
    if unknown.isEmpty, accepted.host == host { return true }
    if let read = try? read(file(unknown)), read.problems.isEmpty { return true }
    do throws(ConfigError) {
      let read = try read(bytes)
      for key in read.badServices { entries[key] = nil }
      leftOut += read.problems.map { LeftOut(problem: "nerve refuses a registration of the candidate for \($0)") }
      return read.badServices.isEmpty
    } catch {
      throw HostFailure(description: "nerve would refuse the candidate for \(error)")
    }
  }
}

/// Something of this host that is wrong for every service: nothing is written.
struct HostFailure: Error, Equatable, CustomStringConvertible {
  let description: String
}

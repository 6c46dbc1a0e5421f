internal import Glibc
internal import HAProxyConfigGen
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Reads all that configure_synapse reads and makes the synapse.conf.json of this host.
///
/// What is wrong with one service costs that service; what is wrong with the host's own files is thrown. Blocks.
struct SynapseConfigurationMaker {
  /// Of the current synapse.conf.json: that of 20,000 namespaces has 60 MB.
  private static let longestFile = 256 << 20

  private let options: ConfigureSynapseOptions
  private let files = SourceFiles()
  private var problems: [SkippedService] = []
  private var warnings: [ConfigError] = []
  /// Everything that was asked for, whether it was there or not: what is worth watching.
  private(set) var paths: Set<String> = []
  /// For the next run; what it was before while this one did not get to its end.
  private(set) var memory: ConfigureMemory?
  private var readings: [(service: String, reading: ServiceReading)] = []
  private var knownCount = 0
  /// Namespaces whose port another listener has.
  private var withoutPort: Set<String> = []

  /// - Parameter memory: of the run before; nil when there is no next one.
  init(_ options: ConfigureSynapseOptions, memory: ConfigureMemory? = nil) {
    self.options = options
    self.memory = memory
  }

  /// - Throws: when the host's own data, an option, or a whole source is missing or wrong.
  mutating func make() throws(ConfigError) -> GeneratedSynapseConfiguration {
    defer { paths.formUnion(files.paths) }
    let tool = try ToolOptions(
      try files.requiredDocument(options.toolOptions), luaDirectory: ToolOptions.defaultLuaDirectory())
    warnings += tool.warnings
    let hosts = try files.zooKeeperServers(tool.zookeeperTopology)
    let lookup = try locations()
    let migration = try self.migration()
    let names = try ServiceDirectory(path: options.servicesDirectory, files: files).services()
    for name in names { read(name, types: lookup.hierarchy.types) }
    skipTakenPorts(tool)
    let before = previous(tool.output)
    let targets = backends(at: lookup, kept: before.map { kept(of: names, in: $0) } ?? [])
    let inputs = SynapseInputs(
      options: tool, zookeeperHosts: hosts, locationTypes: lookup.hierarchy.types, migration: migration,
      canRouteByPath: canRouteByPath(tool))
    var globals = ProxyGlobals(tool, hostName: HostInfo.name ?? "")
    var configuration = SynapseConfigurationText()
    add(inputs, locations: lookup, targets: targets, to: &configuration, globals: &globals)
    if let problem = lookup.hostProblem { throw problem }
    takeOverRest(of: names, from: before ?? previous(tool.output), into: &configuration, globals: &globals)
    configuration.sections["haproxy"] = globals.haproxy
    configuration.sections["nginx"] = globals.nginx
    configuration.sections["status_port"] = tool.statusPort.map { JSONValue.int($0) }
    configuration.sections["zk_tls"] = tool.tls
    if migration.writesFiles {
      configuration.sections["file_output"] = ["output_directory": .string(tool.fileOutputPath)]
    }
    return GeneratedSynapseConfiguration(
      options: tool, bytes: configuration.file(),
      namespaceCount: readings.reduce(0) { $0 + $1.reading.namespaces.count },
      problems: problems, warnings: warnings)
  }

  // MARK: The host

  private func locations() throws(ConfigError) -> HostLocations {
    let types = try files.requiredDocument(options.locationDirectory + "/services/location_types.json")
    // Which location contains which is no question here, so the mapping need not be there.
    let mapping = try YAMLDocument.parse(Array("{}".utf8), file: types.file)
    let hierarchy = try LocationHierarchy(types: types, mapping: mapping)
    return HostLocations(hierarchy: hierarchy, directory: options.locationDirectory, files: files)
  }

  private func migration() throws(ConfigError) -> EnvoyMigration {
    guard let root = try files.document(options.envoyMigration), !root.isNull else { return EnvoyMigration() }
    return try EnvoyMigration(root)
  }

  // MARK: Services

  private mutating func read(_ service: String, types: [String]) {
    let reading: ServiceReading
    if let known = memory?.reading(of: service, locationTypes: types) {
      reading = known
      knownCount += 1
    } else {
      reading = readFiles(of: service, types: types)
    }
    if let states = reading.states { for (path, _) in states { paths.insert(path) } }
    problems += reading.problems
    readings.append((service, reading))
  }

  private mutating func readFiles(of service: String, types: [String]) -> ServiceReading {
    // A reader of its own: thousands of services' files are not kept once they are understood.
    let own = SourceFiles(settling: memory?.settling ?? FileStamp.settling)
    var reading = ServiceReading()
    do throws(ConfigError) {
      for (name, node) in try ServiceDirectory(path: options.servicesDirectory, files: own).namespaces(of: service) {
        let namespace = SmartStackReader.read(node, name: "\(service).\(name)", types: types)
        guard namespace.isForSynapse else { continue }
        let (isSkipped, remarks) = SkippedService.judge(namespace, for: .synapse)
        reading.problems += remarks
        if !isSkipped { reading.namespaces.append((namespace, nil)) }
      }
    } catch {
      reading.problems.append(SkippedService(name: service, problems: ["\(error)"]))
    }
    for index in reading.problems.indices { reading.problems[index].directory = service }
    paths.formUnion(own.paths)
    if memory != nil { reading.states = own.states?.map { (path: $0, state: $1) } }
    return reading
  }

  /// Skips namespaces whose port another listener of this host has: whoever has it in the current file keeps it, else the
  /// first by name.
  private mutating func skipTakenPorts(_ tool: ToolOptions) {
    guard tool.listensWithHAProxy else { return }
    var settings = GeneratorSettings()
    settings.bindAddress = tool.bindAddress
    settings.reservedAddresses = ["hacheck_port": "*:\(tool.hacheckPort)"]
    if let port = tool.statusPort { settings.reservedAddresses["status_port"] = "127.0.0.1:\(port)" }
    settings.extraSections = [ExtraSection(title: "listen stats", lines: ["bind :\(tool.statsPort)"])]
    let namespaces = readings.flatMap { $0.reading.namespaces.map(\.settings) }
    let services = namespaces.compactMap { namespace -> ServiceSettings? in
      guard case .port(let port) = namespace.proxyPort else { return nil }
      var service = ServiceSettings(service: namespace.name)
      service.port = .number(String(port))
      return service
    }
    var conflicts = settings.addressConflicts(of: services, active: [:])
    if conflicts.isEmpty { return }
    let current = try? Files.read(tool.output, limit: SourceFiles.limits.bytes * 8)
    var active = current.flatMap { PreviousConfiguration($0) }?.listening(at: tool.bindAddress) ?? [:]
    active["listen stats"] = Set(ListenAddress.all(inBind: ":\(tool.statsPort)"))
    conflicts = settings.addressConflicts(of: services, active: active)
    withoutPort = Set(conflicts.keys)
    for namespace in namespaces {
      guard let conflict = conflicts[namespace.name] else { continue }
      let error = namespace.error("proxy_port: \(conflict)")
      problems.append(SkippedService(name: namespace.name, problems: ["\(error)"]))
    }
  }

  /// The backends that the new file will have and whether each is one of requests, not bytes; none when no service is to
  /// be proxied.
  private func backends(
    at locations: HostLocations, kept: [(name: String, value: JSONValue)]
  ) -> [String: Bool] {
    let settings = readings.lazy.flatMap(\.reading.namespaces).map(\.settings)
    guard settings.contains(where: { $0.proxiedThrough != nil }) else { return [:] }
    var backends: [String: Bool] = [:]
    for (name, value) in kept {
      guard let lines = value["haproxy"]?["backend"]?.strings else { continue }
      backends[name] = !lines.contains("mode tcp")
    }
    for one in settings where one.proxyPort != .discoveryOnly && !withoutPort.contains(one.name) {
      guard (try? one.advertise.map { try locations.line(ofType: $0, in: one) }) != nil else { continue }
      for type in one.advertise {
        backends[one.backend(ofType: type, endpoint: nil)] = !one.isTCP
        for endpoint in one.endpoints { backends[one.backend(ofType: type, endpoint: endpoint)] = !one.isTCP }
      }
    }
    return backends
  }

  /// The backend that requests of a namespace go through; nil for none, or after the reason was noted.
  private mutating func proxy(of settings: SmartStackNamespace, among backends: [String: Bool]) -> String? {
    guard settings.proxyPort != .discoveryOnly else { return nil }
    var remarks: [ConfigError] = []
    defer {
      for error in remarks {
        problems.append(SkippedService(name: settings.name, consequence: .incomplete, problems: ["\(error)"]))
      }
    }
    if settings.isProxy, settings.isTCP {
      remarks.append(settings.error("is_proxy: only a service of HTTP requests can mark them, and its mode is tcp"))
    }
    guard let (target, node) = settings.proxiedThrough else { return nil }
    switch (settings.isTCP, backends[target]) {
    case (false, true?): return target
    case (true, _):
      remarks.append(
        node.error("only HTTP requests can go through '\(target)', and the mode of \(settings.name) is tcp"))
    case (false, false?):
      remarks.append(node.error("the mode of '\(target)' is tcp; HTTP requests go straight to \(settings.name)"))
    case (false, nil):
      remarks.append(
        node.error("no backend '\(target)' is made in this run; requests go straight to \(settings.name)"))
    }
    return nil
  }

  private mutating func canRouteByPath(_ tool: ToolOptions) -> Bool {
    let path = tool.script("path_based_routing.lua")
    paths.insert(path)
    if Files.isFile(path) { return true }
    let problem = "there is no \(path), which path_based_routing needs; set lua_dir, or put the script there"
    if tool.respectsPathRouting {
      warnings.append(
        ConfigError(
          file: options.toolOptions, path: "path_based_routing", problem: problem + "; nothing is routed by path"))
    }
    for one in readings.lazy.flatMap(\.reading.namespaces).map(\.settings) where one.plugins.routesByPath {
      let error = ConfigError(file: one.file, path: "plugins.path_based_routing", problem: problem)
      problems.append(SkippedService(name: one.name, consequence: .incomplete, problems: ["\(error)"]))
    }
    return false
  }

  private mutating func add(
    _ inputs: SynapseInputs, locations: HostLocations, targets: [String: Bool],
    to configuration: inout SynapseConfigurationText, globals: inout ProxyGlobals
  ) {
    let isAsBefore = memory.map { $0.inputs == inputs } ?? false
    for place in readings.indices {
      for index in readings[place].reading.namespaces.indices {
        let (settings, known) = readings[place].reading.namespaces[index]
        guard
          let made = made(
            settings, inputs: inputs, locations: locations, targets: targets, known: isAsBefore ? known : nil)
        else { continue }
        if memory != nil { readings[place].reading.namespaces[index].made = made }
        for service in made.services { configuration.add(service.name, bytes: service.bytes) }
        globals.add(global: made.global, defaults: made.defaults)
      }
    }
    guard let settling = memory?.settling else { return }
    let services = readings.lazy.filter { $0.reading.states != nil }.map { ($0.service, $0.reading) }
    memory = ConfigureMemory(
      inputs: inputs, services: Dictionary(uniqueKeysWithValues: services), settling: settling, knownCount: knownCount)
  }

  private mutating func made(
    _ settings: SmartStackNamespace, inputs: SynapseInputs, locations: HostLocations, targets: [String: Bool],
    known: GeneratedNamespace?
  ) -> GeneratedNamespace? {
    if withoutPort.contains(settings.name) { return nil }
    let proxy = proxy(of: settings, among: targets)
    do throws(ConfigError) {
      let lines = try settings.advertise.map { type throws(ConfigError) in
        try locations.line(ofType: type, in: settings)
      }
      // Which backends there are is the other services' business.
      if let known, known.locations == lines, settings.proxiedThrough == nil, settings.chaos.isEmpty {
        return known
      }
      let (services, plugins) = try ServiceWatchers(settings, inputs: inputs, locations: locations).make(
        proxy: proxy)
      return GeneratedNamespace(
        locations: lines, services: services.map { ($0.name, SynapseConfigurationText.bytes($0.value)) },
        global: plugins?.global ?? [], defaults: plugins?.defaults ?? [])
    } catch {
      problems.append(SkippedService(name: settings.name, problems: ["\(error)"]))
      return nil
    }
  }

  // MARK: The current file

  /// The current file when something of it may have to stay.
  private func previous(_ path: String) -> PreviousConfiguration? {
    guard problems.contains(where: { $0.consequence == .skipped }),
      let bytes = try? Files.read(path, limit: SynapseConfigurationMaker.longestFile)
    else { return nil }
    return PreviousConfiguration(bytes)
  }

  /// What the current file has of services that cannot be read.
  private func kept(of names: [String], in before: PreviousConfiguration) -> [(name: String, value: JSONValue)] {
    problems.filter { $0.consequence == .skipped }.flatMap { problem in
      (problem.directory ?? problem.name).map { before.services(of: $0, among: names) } ?? []
    }
  }

  /// A service that cannot be read today keeps what it had: half a file must not take a service off the host. What
  /// half a file does not mention is kept with it.
  private mutating func takeOverRest(
    of names: [String], from before: PreviousConfiguration?, into configuration: inout SynapseConfigurationText,
    globals: inout ProxyGlobals
  ) {
    guard let before else { return }
    let written = configuration.names
    for index in problems.indices where problems[index].consequence == .skipped {
      guard let own = problems[index].name else { continue }
      let rest = before.services(of: problems[index].directory ?? own, among: names).filter {
        !written.contains($0.name)
      }
      for (name, service) in rest { configuration.add(name, bytes: SynapseConfigurationText.bytes(service)) }
      guard rest.contains(where: { $0.name == own || $0.name.hasPrefix(own + ".") }) else { continue }
      globals.add(global: before.pluginGlobals, defaults: before.pluginDefaults)
      problems[index].consequence = .kept
    }
  }
}

/// The synapse.conf.json that one run makes of everything it read, and what is wrong.
struct GeneratedSynapseConfiguration: Sendable {
  let options: ToolOptions
  /// The bytes of the whole file.
  let bytes: [UInt8]
  /// The number of namespaces that were read without a mistake.
  let namespaceCount: Int
  let problems: [SkippedService]
  let warnings: [ConfigError]

  /// For a line: `2 namespaces`.
  var shownCount: String { namespaceCount.counted("namespace") }
  /// Services that are not as their files say.
  var failureCount: Int { problems.count(where: \.isFailure) }
}

internal import Glibc
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Reads all that configure_synapse reads and makes the synapse.conf.json of this host.
///
/// What is wrong with one service costs that service; what is wrong with the host's own files is thrown. Blocks.
struct ConfigurationMaker {
  /// What came of it.
  struct Result: Sendable {
    let options: ToolOptions
    /// The bytes of the whole file.
    let bytes: [UInt8]
    /// How many namespaces were read without a mistake.
    let namespaceCount: Int
    let problems: [SkippedService]
    let warnings: [ConfigError]

    /// The file as text.
    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  private let inputs: ConfigureInputs
  private let files = SourceFiles()
  private var problems: [SkippedService] = []
  private var warnings: [ConfigError] = []
  /// Everything that was asked for, whether it was there or not: what is worth watching.
  private(set) var paths: Set<String> = []
  /// For the next run; what it was before while this one did not get to its end.
  private(set) var memory: ConfigureMemory?
  private var readings: [(service: String, reading: ServiceReading)] = []
  private var knownCount = 0

  /// - Parameter memory: of the run before; nil when there is no next one.
  init(_ inputs: ConfigureInputs, memory: ConfigureMemory? = nil) {
    self.inputs = inputs
    self.memory = memory
  }

  /// - Throws: when the host's own data, an option, or a whole source is missing or wrong.
  mutating func make() throws(ConfigError) -> Result {
    defer { paths.formUnion(files.paths) }
    let options = try ToolOptionsReader(
      try files.requiredDocument(inputs.toolOptions), luaDirectory: ScriptFiles.defaultDirectory()
    ).read()
    warnings += options.warnings
    let hosts = try ZooKeeperTopology.servers(options.zookeeperTopology, files: files)
    let lookup = try locations()
    let migration = try self.migration()
    let names = try ServiceDirectory(path: inputs.services, files: files).services()
    for name in names { read(name, types: lookup.hierarchy.types) }
    let context = WatcherContext(
      options: options, zookeeperHosts: hosts, locations: lookup, migration: migration, targets: backends(),
      canRouteByPath: canRouteByPath(options))
    var globals = ProxyGlobals(options, hostName: HostInfo.name ?? "")
    var configuration = GeneratedConfiguration()
    add(context, to: &configuration, globals: &globals)
    if let problem = lookup.hostProblem { throw problem }
    takeOverRest(of: names, options: options, into: &configuration, globals: &globals)
    configuration.sections["haproxy"] = globals.haproxy
    configuration.sections["nginx"] = globals.nginx
    if migration.writesFiles {
      configuration.sections["file_output"] = ["output_directory": .string(options.fileOutputPath)]
    }
    return Result(
      options: options, bytes: configuration.file(),
      namespaceCount: readings.reduce(0) { $0 + $1.reading.settings.count },
      problems: problems, warnings: warnings)
  }

  // MARK: The host

  private func locations() throws(ConfigError) -> HostLocations {
    let types = try files.requiredDocument(inputs.locationTypes)
    // Which location contains which is no question here, so the mapping need not be there.
    let mapping = try YAMLDocument.parse(Array("{}".utf8), file: inputs.locationTypes)
    let hierarchy = try LocationHierarchy(types: types, mapping: mapping)
    return HostLocations(hierarchy: hierarchy, directory: inputs.locations, files: files)
  }

  private func migration() throws(ConfigError) -> EnvoyMigration {
    guard let root = try files.document(inputs.envoyMigration), !root.isNull else { return EnvoyMigration() }
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
      for (name, node) in try ServiceDirectory(path: inputs.services, files: own).namespaces(of: service) {
        let namespace = SmartStackReader.read(node, name: "\(service).\(name)", types: types)
        guard namespace.isForSynapse else { continue }
        let (isSkipped, remarks) = SkippedService.judge(namespace, for: .synapse)
        reading.problems += remarks
        if !isSkipped { reading.settings.append(namespace) }
      }
    } catch {
      reading.problems.append(SkippedService(name: service, problems: ["\(error)"]))
    }
    for index in reading.problems.indices { reading.problems[index].directory = service }
    paths.formUnion(own.paths)
    if memory != nil { reading.states = own.states?.map { (path: $0, state: $1) } }
    reading.made = Array(repeating: nil, count: reading.settings.count)
    return reading
  }

  /// What a service can be proxied through; empty when none is to be.
  private func backends() -> Set<String> {
    let settings = readings.lazy.flatMap(\.reading.settings)
    guard settings.contains(where: { $0.proxiedThrough != nil }) else { return [] }
    var names: Set<String> = []
    for one in settings where one.proxyPort != .discoveryOnly {
      for type in one.advertise {
        names.insert(one.backend(ofType: type, endpoint: nil))
        for endpoint in one.endpoints { names.insert(one.backend(ofType: type, endpoint: endpoint)) }
      }
    }
    return names
  }

  private mutating func canRouteByPath(_ options: ToolOptions) -> Bool {
    let path = ScriptFiles.path(in: options.luaDirectory, "path_based_routing.lua")
    paths.insert(path)
    if Files.kind(path) == .file { return true }
    let problem = "there is no \(path), which path_based_routing needs; set lua_dir, or put the script there"
    if options.respectsPathRouting {
      warnings.append(
        ConfigError(
          file: inputs.toolOptions, path: "path_based_routing", problem: problem + "; nothing is routed by path"))
    }
    for one in readings.lazy.flatMap(\.reading.settings) where one.plugins.routesByPath {
      let error = ConfigError(file: one.file, path: "plugins.path_based_routing", problem: problem)
      problems.append(SkippedService(name: one.name, consequence: .incomplete, problems: ["\(error)"]))
    }
    return false
  }

  private mutating func add(
    _ context: WatcherContext, to configuration: inout GeneratedConfiguration, globals: inout ProxyGlobals
  ) {
    let isAsBefore = memory.map { $0.facts == context.facts } ?? false
    for place in readings.indices {
      for index in readings[place].reading.settings.indices {
        let settings = readings[place].reading.settings[index]
        let known = isAsBefore ? readings[place].reading.made[index] : nil
        guard let made = made(settings, context: context, known: known) else { continue }
        if memory != nil { readings[place].reading.made[index] = made }
        for service in made.services { configuration.add(service.name, bytes: service.bytes) }
        globals.add(global: made.global, defaults: made.defaults)
      }
    }
    guard let settling = memory?.settling else { return }
    let services = readings.lazy.filter { $0.reading.states != nil }.map { ($0.service, $0.reading) }
    memory = ConfigureMemory(
      facts: context.facts, services: Dictionary(uniqueKeysWithValues: services), settling: settling,
      knownCount: knownCount)
  }

  private mutating func made(
    _ settings: SmartStackNamespace, context: WatcherContext, known: ConfigureMemory.Made?
  ) -> ConfigureMemory.Made? {
    if settings.proxyPort != .discoveryOnly, let (target, node) = settings.proxiedThrough,
      !context.targets.contains(target)
    {
      let error = node.error("no backend '\(target)' is made in this run; requests go straight to \(settings.name)")
      problems.append(SkippedService(name: settings.name, consequence: .incomplete, problems: ["\(error)"]))
    }
    do throws(ConfigError) {
      let locations = try settings.advertise.map { type throws(ConfigError) in
        try context.locations.line(ofType: type)
      }
      // Which backends there are is the other services' business.
      if let known, known.locations == locations, settings.proxiedThrough == nil, settings.chaos.isEmpty {
        return known
      }
      let (services, plugins) = try ServiceWatchers(settings, context: context).make()
      return ConfigureMemory.Made(
        locations: locations, services: services.map { ($0.name, GeneratedConfiguration.bytes($0.value)) },
        global: plugins?.global ?? [], defaults: plugins?.defaults ?? [])
    } catch {
      problems.append(SkippedService(name: settings.name, problems: ["\(error)"]))
      return nil
    }
  }

  // MARK: The file in force

  /// A service that cannot be read today keeps what it had: half a file must not take a service off the host. What
  /// half a file does not mention is kept with it.
  private mutating func takeOverRest(
    of names: [String], options: ToolOptions, into configuration: inout GeneratedConfiguration,
    globals: inout ProxyGlobals
  ) {
    guard problems.contains(where: { $0.consequence == .skipped }),
      let bytes = try? Files.read(options.output, limit: SourceFiles.limits.bytes * 8),
      let before = PreviousConfiguration(bytes)
    else { return }
    let written = configuration.names
    for index in problems.indices where problems[index].consequence == .skipped {
      guard let own = problems[index].name else { continue }
      let rest = before.services(of: problems[index].directory ?? own, among: names).filter {
        !written.contains($0.name)
      }
      for (name, service) in rest { configuration.add(name, bytes: GeneratedConfiguration.bytes(service)) }
      guard rest.contains(where: { $0.name == own || $0.name.hasPrefix(own + ".") }) else { continue }
      globals.add(global: before.pluginGlobals, defaults: before.pluginDefaults)
      problems[index].consequence = .kept
    }
  }
}

internal import Glibc
internal import Reactor
internal import SmartStack
internal import Topology
internal import YAMLConfig

/// Reads all that configure_synapse reads and makes the synapse.conf.json of this host.
///
/// What is wrong with one service costs that service; what is wrong with the host's own files is thrown. Blocks.
struct ConfigurationMaker {
  /// What came of it.
  struct Result: Sendable {
    let options: ToolOptions
    /// The whole file.
    let bytes: [UInt8]
    /// How many namespaces were read without a mistake.
    let namespaceCount: Int
    let problems: [ServiceProblem]
    let warnings: [ConfigError]

    /// The file as text.
    var text: String { String(decoding: bytes, as: UTF8.self) }
  }

  private let inputs: ConfigureInputs
  private let files = SourceFiles()
  private var problems: [ServiceProblem] = []
  private var warnings: [ConfigError] = []
  /// Everything that was asked for, whether it was there or not: what is worth watching.
  private(set) var paths: Set<String> = []

  init(_ inputs: ConfigureInputs) { self.inputs = inputs }

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
    let settings = names.flatMap { read($0, lookup) }
    let context = WatcherContext(
      options: options, zookeeperHosts: hosts, locations: lookup, migration: migration,
      targets: ConfigurationMaker.backends(settings), canRouteByPath: canRouteByPath(options, settings))
    var globals = ProxyGlobals(options, hostName: ConfigurationMaker.hostName())
    var configuration = GeneratedConfiguration()
    for one in settings { add(one, context, to: &configuration, &globals) }
    if let problem = lookup.hostProblem { throw problem }
    takeOverRest(names, options, into: &configuration, &globals)
    configuration.sections["haproxy"] = globals.haproxy
    configuration.sections["nginx"] = globals.nginx
    if migration.writesFiles {
      configuration.sections["file_output"] = ["output_directory": .string(options.fileOutputPath)]
    }
    return Result(
      options: options, bytes: configuration.file(), namespaceCount: settings.count, problems: problems,
      warnings: warnings)
  }

  // MARK: The host

  private func locations() throws(ConfigError) -> LocationLookup {
    let types = try files.requiredDocument(inputs.locationTypes)
    // Which location contains which is no question here, so the mapping need not be there.
    let mapping = try YAMLDocument.parse(Array("{}".utf8), file: inputs.locationTypes)
    let hierarchy = try LocationHierarchy(types: types, mapping: mapping)
    return LocationLookup(
      HostLocations(hierarchy: hierarchy, directory: inputs.locations, files: files), files: files)
  }

  private func migration() throws(ConfigError) -> EnvoyMigration {
    guard let root = try files.document(inputs.envoyMigration), !root.isNull else { return EnvoyMigration() }
    return try EnvoyMigration(root)
  }

  private static func hostName() -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    _ = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { gethostname($0, bytes.count - 1) }
    }
    return String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
  }

  // MARK: Services

  private mutating func read(
    _ service: String, _ lookup: LocationLookup
  ) -> [NamespaceSettings] {
    // A reader of its own: thousands of services' files are not kept once they are understood.
    let own = SourceFiles()
    defer { paths.formUnion(own.paths) }
    let namespaces: [(name: String, value: YAMLNode)]
    do throws(ConfigError) {
      namespaces = try ServiceDirectory(path: inputs.services, files: own).namespaces(of: service)
    } catch {
      problems.append(ServiceProblem(service: service, directory: service, consequence: .leftOut, error: error))
      return []
    }
    var settings: [NamespaceSettings] = []
    for (namespace, node) in namespaces {
      let name = "\(service).\(namespace)"
      do throws(ConfigError) {
        if let one = try NamespaceReader(name: name, node: node, locations: lookup).read() { settings.append(one) }
      } catch {
        problems.append(ServiceProblem(service: name, directory: service, consequence: .leftOut, error: error))
      }
    }
    return settings
  }

  private static func backends(_ settings: [NamespaceSettings]) -> Set<String> {
    var names: Set<String> = []
    for one in settings where one.listening != .discoveryOnly {
      for type in one.advertise {
        names.insert(one.backend(type, nil))
        for endpoint in one.endpoints { names.insert(one.backend(type, endpoint)) }
      }
    }
    return names
  }

  private mutating func canRouteByPath(_ options: ToolOptions, _ settings: [NamespaceSettings]) -> Bool {
    let path = ScriptFiles.path(in: options.luaDirectory, "path_based_routing.lua")
    if Files.kind(path) == .file { return true }
    let problem = "there is no \(path), which path_based_routing needs; set lua_dir, or put the script there"
    if options.respectsPathRouting {
      warnings.append(
        ConfigError(
          file: inputs.toolOptions, path: "path_based_routing", problem: problem + "; nothing is routed by path"))
    }
    for one in settings where one.plugins.routesByPath {
      let error = ConfigError(file: one.file, path: "plugins.path_based_routing", problem: problem)
      problems.append(ServiceProblem(service: one.name, directory: one.name, consequence: .incomplete, error: error))
    }
    return false
  }

  private mutating func add(
    _ settings: NamespaceSettings, _ context: WatcherContext, to configuration: inout GeneratedConfiguration,
    _ globals: inout ProxyGlobals
  ) {
    do throws(ConfigError) {
      let (services, plugins) = try ServiceWatchers(settings, context).make()
      for service in services { configuration.add(service.name, service.value) }
      if let plugins { globals.add(global: plugins.global, defaults: plugins.defaults) }
    } catch {
      problems.append(
        ServiceProblem(service: settings.name, directory: settings.name, consequence: .leftOut, error: error))
      return
    }
    if settings.listening != .discoveryOnly, let target = settings.proxiedThrough, !context.targets.contains(target),
      let node = settings.proxiedThroughNode
    {
      let error = node.error("no backend '\(target)' is made in this run; requests go straight to \(settings.name)")
      problems.append(
        ServiceProblem(service: settings.name, directory: settings.name, consequence: .incomplete, error: error))
    }
  }

  // MARK: The file in force

  /// A service that cannot be read today keeps what it had: half a file must not take a service off the host. What
  /// half a file does not mention is kept with it.
  private mutating func takeOverRest(
    _ names: [String], _ options: ToolOptions, into configuration: inout GeneratedConfiguration,
    _ globals: inout ProxyGlobals
  ) {
    guard problems.contains(where: \.isFailure),
      let bytes = try? Files.read(options.output, limit: SourceFiles.limits.bytes * 8),
      let before = PreviousConfiguration(bytes)
    else { return }
    let written = configuration.names
    for index in problems.indices where problems[index].isFailure {
      let rest = before.services(of: problems[index].directory, among: names).filter { !written.contains($0.name) }
      for (name, service) in rest { configuration.add(name, service) }
      let own = problems[index].service
      guard rest.contains(where: { $0.name == own || $0.name.hasPrefix(own + ".") }) else { continue }
      globals.add(global: before.pluginGlobals, defaults: before.pluginDefaults)
      problems[index].consequence = .kept
    }
  }
}

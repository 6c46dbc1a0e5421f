internal import Configure
internal import SmartStack
internal import YAMLConfig

/// The types of location that matter to a service's namespace, and the host's place among them.
struct NamespaceLevels {
  private let services: ServiceDirectory
  private let typesPath: String
  private let locations: Result<HostLocations, ConfigError>

  /// - Parameter directory: one file per type of location, and `services/location_types.json`.
  init(services servicesDirectory: String, locations directory: String, files: SourceFiles) {
    services = ServiceDirectory(path: servicesDirectory, files: files)
    typesPath = directory + "/services/location_types.json"
    locations = Result { () throws(ConfigError) in
      let services = directory + "/services"
      // Most questions do not need the mapping, and hosts that only run synapse may lack it.
      let place = services + "/location_mapping.json"
      let mapping = try files.document(place)
      let none = try YAMLDocument.parse(Array("{}".utf8), file: place)
      let hierarchy = try LocationHierarchy(
        types: files.requiredDocument(services + "/location_types.json"), mapping: mapping ?? none)
      return HostLocations(hierarchy: hierarchy, directory: directory, files: files)
    }
  }

  /// All types, most general first; none when the host's files do not tell.
  var types: [String] { (try? locations.get().hierarchy.types) ?? [] }

  /// The type by which clients discover it.
  func discover(_ name: String) throws -> String {
    try namespace(name, with: .discover).discover
  }

  func expected(_ name: String, cluster: String) throws(ConfigError) -> Int {
    try services.expectedInstances(name, cluster: cluster)
  }

  /// This host's location of a type.
  func own(_ type: String) throws(OperatorError) -> String {
    do {
      let location = try locations.get().current(type)
      if location.isEmpty { throw OperatorError("the file of this host's \(type) is empty") }
      return location
    } catch {
      throw OperatorError("where this host is cannot be told: \(error)")
    }
  }

  /// What a scheduler is told so that tasks are spread over all places in which they are advertised separately: the
  /// smallest level and how many locations of it there are within the host's own location of type `within`.
  func constraint(_ name: String, within: String?) throws -> JSONValue {
    let locations = try locations.get()
    let types = locations.hierarchy.types
    let advertised = try namespace(name, with: .advertise).advertise
    guard let level = types.last(where: { advertised.contains($0) }) else {
      throw OperatorError(
        "\(name) is advertised by \(advertised.joined(separator: ", ")); \(typesPath) has none of them")
    }
    let scope = within ?? (types.contains("superregion") ? "superregion" : types[0])
    // One location is all there is of a level that is not below the scope.
    guard try locations.hierarchy.compare(scope, with: level) < 0 else { return [.string(level), "GROUP_BY", "1"] }
    let count = try locations.convertCurrent(scope, to: level).count
    guard count > 0 else {
      throw OperatorError("location_mapping.json has no \(level) within this host's \(scope)")
    }
    return [.string(level), "GROUP_BY", .string(String(count))]
  }

  private func namespace(_ name: String, with key: SmartStackKey) throws -> SmartStackNamespace {
    let parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 2, !parts.contains(where: { $0.isEmpty || $0.contains("/") }) else {
      throw OperatorError("'\(name)' is not service.namespace")
    }
    let known = try services.smartStack(of: parts[0])?[parts[1]]
    guard known != nil else {
      throw ConfigError(
        file: services.file("smartstack.yaml", of: parts[0]), path: parts[1], problem: "there is no such namespace")
    }
    let namespace = try services.namespace(parts[1], of: parts[0])
    try namespace.check(key)
    return namespace
  }
}

extension ServiceDirectory {
  /// How many instances of a service are to be registered under a namespace: the `instances` (1 by default) of those in
  /// `marathon-<cluster>.yaml`, of autoscaled ones the least (`min_instances`).
  func expectedInstances(_ name: String, cluster: String) throws(ConfigError) -> Int {
    let parts = name.split(separator: ".").map(String.init)
    guard parts.count == 2 else { return 0 }
    let file = "marathon-\(cluster).yaml"
    guard let root = try document(file, of: parts[0]) else {
      throw ConfigError(file: self.file(file, of: parts[0]), problem: "there is no such file")
    }
    var count = 0
    // Names with an underscore in front are templates.
    for entry in try root.entries() where !entry.name.hasPrefix("_") && !entry.value.isNull {
      let instance = try self.instance(entry.name, of: parts[0], cluster: cluster)
      guard instance?.registrations.contains(where: { $0.description == name }) == true else { continue }
      let range = 0...1_000_000
      guard let number = entry.value["min_instances"] ?? entry.value["instances"] else {
        count += 1
        continue
      }
      count += try number.int(in: range)
    }
    return count
  }
}

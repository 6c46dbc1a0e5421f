internal import SmartStack
public import YAMLConfig

/// soa-configs: a directory with one directory per service, `/nail/etc/services` by custom.
///
/// A missing file is an empty one everywhere; one that cannot be read or parsed is an error of its service alone.
public struct ServiceDirectory {
  /// The path of the directory.
  public let path: String
  let files: SourceFiles

  /// - Parameter path: the directory.
  public init(path: String, files: SourceFiles) {
    self.path = path
    self.files = files
  }

  /// The names in the directory, sorted; files are among them, and have no namespaces.
  /// - Throws: when the directory is missing or cannot be listed.
  public func services() throws(ConfigError) -> [String] {
    guard let names = try files.names(in: path) else {
      throw ConfigError(file: path, problem: "there is no such directory of service configurations")
    }
    return names
  }

  /// Where a file of a service is.
  public func file(_ name: String, of service: String) -> String { "\(path)/\(service)/\(name)" }

  /// A service's file as a mapping; nil when it is missing or empty.
  /// - Throws: when it is something else.
  public func document(_ name: String, of service: String) throws(ConfigError) -> YAMLNode? {
    guard let root = try files.document(file(name, of: service)), !root.isNull else { return nil }
    _ = try root.entries()
    return root
  }

  /// The namespaces of a service as configure_synapse has them: each value as it stands in `smartstack.yaml`, or in
  /// `service.yaml` if that has a key `smartstack`, which replaces the whole file. In the file's order.
  public func namespaces(of service: String) throws(ConfigError) -> [(name: String, value: YAMLNode)] {
    let own = try document("smartstack.yaml", of: service)
    let override = try document("service.yaml", of: service)?["smartstack"]
    guard let namespaces = override ?? own, !namespaces.isNull else { return [] }
    return try namespaces.entries().map { ($0.name, $0.value) }
  }

  /// A namespace as nerve and the operators' tools see it, from `smartstack.yaml` alone; one that the file does not have
  /// has nothing but defaults.
  /// - Parameter types: the location types, most general first; nil leaves types unjudged.
  /// - Throws: for a file that cannot be read; what is wrong inside the namespace is among its mistakes.
  public func namespace(
    _ name: String, of service: String, types: [String]? = nil
  ) throws(ConfigError) -> SmartStackNamespace {
    let full = "\(service).\(name)"
    guard let node = try node(ofNamespace: name, of: service) else {
      return SmartStackNamespace(name: full, file: file("smartstack.yaml", of: service))
    }
    return SmartStackReader.read(node, name: full, types: types)
  }

  /// The value of a namespace in `smartstack.yaml`; nil when it is not there, or null.
  func node(ofNamespace name: String, of service: String) throws(ConfigError) -> YAMLNode? {
    try document("smartstack.yaml", of: service)?[name].flatMap { $0.isNull ? nil : $0 }
  }

  /// The number in the file `port` of a service; nil when there is none, or no number.
  public func port(of service: String) throws(ConfigError) -> Int? {
    guard let bytes = try files.bytes(file("port", of: service)) else { return nil }
    return Int(String(decoding: bytes, as: UTF8.self).trimmedBlanks)
  }
}

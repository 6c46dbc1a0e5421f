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
    let own = try smartStack(of: service)
    let override = try override(of: service)
    return try (override ?? own)?.entries().map { ($0.name, $0.value) } ?? []
  }

  /// The namespaces of `smartstack.yaml`, a mapping; nil when there is no such file.
  /// - Throws: for one that may not be what its author means: empty, or with a key given twice.
  public func smartStack(of service: String) throws(ConfigError) -> YAMLNode? {
    guard let document = try files.wholeDocument(file("smartstack.yaml", of: service)) else { return nil }
    if document.root.isNull {
      throw document.root.error("the file is empty; {} says that the service has no namespaces")
    }
    _ = try document.root.entries()
    if let repeated = document.repeatedKeys.first { throw repeated }
    return document.root
  }

  /// What `service.yaml` has in the place of `smartstack.yaml`; nil when it has nothing.
  private func override(of service: String) throws(ConfigError) -> YAMLNode? {
    guard try document("service.yaml", of: service) != nil,
      let document = try files.wholeDocument(file("service.yaml", of: service)),
      let namespaces = document.root["smartstack"]
    else { return nil }
    if namespaces.isNull {
      throw namespaces.error("null in the place of smartstack.yaml; take the key out, or write {} for no namespaces")
    }
    _ = try namespaces.entries()
    let repeated = document.repeatedKeys.first {
      $0.path == namespaces.path || $0.path.hasPrefix(namespaces.path + ".")
    }
    if let repeated { throw repeated }
    return namespaces
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

  /// The value of a namespace in `smartstack.yaml`; nil when it is not there.
  func node(ofNamespace name: String, of service: String) throws(ConfigError) -> YAMLNode? {
    try smartStack(of: service)?[name]
  }

  /// The number in the file `port` of a service, 0 to 65,535; nil when there is no such file.
  /// - Throws: for a file that holds anything else.
  public func port(of service: String) throws(ConfigError) -> Int? {
    let path = file("port", of: service)
    guard let bytes = try files.bytes(path) else { return nil }
    let text = String(decoding: bytes, as: UTF8.self).trimmedBlanks
    guard let port = Int(text), (0...65_535).contains(port) else {
      let found = text.isEmpty ? "an empty file" : text.quoted
      throw ConfigError(file: path, line: 1, column: 1, problem: "expected a port number, found \(found)")
    }
    return port
  }
}

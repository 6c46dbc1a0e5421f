internal import SmartStack
internal import YAMLConfig

/// The services that this host always has: one file each, called like the service, `{"namespaces": ["main"]}`, JSON.
struct StaticServices {
  var services: ServiceDirectory
  /// The location types, most general first; nil leaves types unjudged.
  var types: [String]?
  /// The directory, `/etc/nerve/puppet_services.d` by default.
  var directory: String
  var files: SourceFiles

  /// A missing directory has none.
  /// - Throws: when it cannot be listed.
  func local() throws(ConfigError) -> LocalServices {
    var all = LocalServices()
    for service in try files.names(in: directory) ?? [] {
      do throws(ConfigError) {
        for namespace in try namespaces(of: service) {
          do throws(ConfigError) {
            all.add(try self.service(namespace, of: service))
          } catch {
            all.remarks.append(SkippedService(name: "\(service).\(namespace)", problems: ["\(error)"]))
          }
        }
      } catch {
        all.remarks.append(SkippedService(name: service, problems: ["\(error)"]))
      }
    }
    return all
  }

  private func namespaces(of service: String) throws(ConfigError) -> [String] {
    let path = "\(directory)/\(service)"
    // A link to nothing is what a removed service leaves behind.
    guard let bytes = try files.bytes(path) else { return [] }
    guard let root = YAMLDocument.json(bytes, file: path, dialect: .python) else {
      throw ConfigError(file: path, problem: #"this is not JSON; expected {"namespaces": ["main", …]}"#)
    }
    guard let names = root["namespaces"]?.jsonValue().strings else {
      throw (root["namespaces"] ?? root).error("'namespaces': expected a list of texts")
    }
    return names
  }

  private func service(_ name: String, of service: String) throws(ConfigError) -> LocalService {
    let namespace = try services.namespace(name, of: service, types: types)
    let port = try services.port(of: service)
    var values = namespace.listed(try services.node(ofNamespace: name, of: service))
    values[SmartStackKey.port.rawValue] = port.map { .int($0) } ?? .null
    if let port, !(0...65_535).contains(port) {
      throw ConfigError(file: services.file("port", of: service), problem: "expected a port number, found \(port)")
    }
    return LocalService(
      namespace: namespace, instance: SmartStackNamespace.Instance(port: port == 0 ? nil : port), isStatic: true,
      values: values)
  }
}

internal import SmartStack
internal import YAMLConfig

/// Reads the services that sources list, with what soa-configs say of each.
struct LocalServiceReader {
  var services: ServiceDirectory
  /// The location types, most general first; nil leaves types unjudged.
  var types: [String]?

  /// The list that a program prints or a file holds: `[[name, {…}]…]`.
  /// - Throws: when it is not a list at all.
  func services(listed bytes: [UInt8], by source: ServicesSource) throws(OperatorError) -> LocalServices {
    let limits = YAMLLimits(bytes: SourceReader.longestAnswer)
    guard let root = YAMLDocument.json(bytes, file: source.fileName, dialect: .python, limits: limits) else {
      throw source.failure("what it gives is not JSON; nothing is changed")
    }
    guard case .sequence(let entries) = root.value else {
      throw source.failure("what it gives is JSON, but no list of services; nothing is changed")
    }
    var all = LocalServices()
    for (index, entry) in entries.enumerated() {
      let pair = try? entry.items()
      let name = pair?.first.flatMap {
        if case .scalar(let name) = $0.value, name.kind == .text { name.text } else { nil }
      }
      if let pair, pair.count == 2, let name, case .mapping = pair[1].value {
        let namespace = SmartStackReader.read(pair[1], name: name, isListed: true, types: types)
        all.add(LocalService(namespace: namespace, values: pair[1].jsonValue().object ?? [:]))
      } else {
        all.remarks.append(SkippedService(name: name, problems: ["entry \(index) of \(source) is not [name, {…}]"]))
      }
    }
    return all
  }

  // MARK: Static services

  /// The services that this host always has: one file each, called like the service, `{"namespaces": ["main"]}`, JSON.
  /// A missing directory has none.
  /// - Throws: when it cannot be listed.
  func services(in directory: String) throws(ConfigError) -> LocalServices {
    var all = LocalServices()
    for service in try services.files.names(in: directory) ?? [] {
      do throws(ConfigError) {
        for namespace in try namespaces("\(directory)/\(service)") {
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

  private func namespaces(_ path: String) throws(ConfigError) -> [String] {
    // A link to nothing is what a removed service leaves behind.
    guard let bytes = try services.files.bytes(path) else { return [] }
    guard let root = YAMLDocument.json(bytes, file: path, dialect: .python) else {
      throw ConfigError(file: path, problem: #"this is not JSON; expected {"namespaces": ["main", …]}"#)
    }
    guard let names = root["namespaces"]?.jsonValue().strings else {
      throw (root["namespaces"] ?? root).error("'namespaces': expected a list of texts")
    }
    return names
  }

  private func service(_ name: String, of service: String) throws(ConfigError) -> LocalService {
    var namespace = try services.namespace(name, of: service, types: types)
    let port = try services.port(of: service)
    var values = namespace.listed(try services.node(ofNamespace: name, of: service))
    values[SmartStackKey.port.rawValue] = port.map { .int($0) } ?? .null
    namespace.instance.port = port == 0 ? nil : port
    return LocalService(namespace: namespace, isStatic: true, values: values)
  }
}

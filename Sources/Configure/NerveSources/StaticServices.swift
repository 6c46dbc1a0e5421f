internal import SmartStack
internal import YAMLConfig

/// The services that this host always has: one file each, called like the service, `{"namespaces": ["main"]}`, JSON.
struct StaticServices {
  var services: ServiceDirectory
  /// `/etc/nerve/puppet_services.d`
  var directory: String
  var files: SourceFiles

  /// A missing directory has none.
  /// - Throws: when it cannot be listed.
  func local() throws(ConfigError) -> LocalServices {
    var all = LocalServices()
    for service in try files.names(in: directory) ?? [] {
      do throws(ConfigError) {
        for namespace in try namespaces(of: service) {
          all += self.service(namespace, of: service)
        }
      } catch {
        all.leftOut.append(LeftOut(service: service, problem: "\(error)"))
      }
    }
    return all
  }

  private func namespaces(of service: String) throws(ConfigError) -> [String] {
    let path = "\(directory)/\(service)"
    // A link to nothing is what a removed service leaves behind.
    guard let bytes = try files.bytes(path) else { return [] }
    guard let value = JSONValue(bytes, dialect: .python) else {
      throw ConfigError(file: path, problem: #"this is not JSON; expected {"namespaces": ["main", …]}"#)
    }
    guard let names = value["namespaces"]?.strings else {
      throw ConfigError(file: path, path: "namespaces", problem: "expected a list of texts")
    }
    return names
  }

  private func service(_ name: String, of service: String) -> LocalServices {
    var all = LocalServices()
    do throws(ConfigError) {
      var values = try services.namespace(name, of: service).values
      values["port"] = try services.port(of: service).map { .int($0) } ?? .null
      all.services.append(LocalService(name: "\(service).\(name)", values: values, isStatic: true))
    } catch {
      all.leftOut.append(LeftOut(service: "\(service).\(name)", problem: "\(error)"))
    }
    return all
  }
}

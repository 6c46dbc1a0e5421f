internal import Reactor
public import YAMLConfig

/// The files an agent's configuration is made of.
public enum ConfigurationFiles {
  /// One file of `service_conf_dir`: its name without the suffix, which is the service's key, and what it holds or why
  /// it cannot be read. One bad file is no reason to ignore the others.
  public typealias ServiceFile = (service: String, document: Result<YAMLDocument, ConfigError>)

  /// Reads one file.
  /// - Parameter environment: puts variables in for `<%= ENV['NAME'] %>` and refuses other ERB; nil reads the
  ///   file as it stands.
  public static func read(
    _ path: String, environment: [String: String]? = nil
  ) throws(ConfigError) -> YAMLDocument {
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try Files.read(path, limit: YAMLLimits.default.bytes)
    } catch {
      throw ConfigError(file: path, problem: error.description)
    }
    guard let environment else { return try YAMLDocument(bytes, file: path) }
    return try YAMLDocument(ConfigTemplate.expand(bytes, file: path, environment: environment), file: path)
  }

  /// Reads the directory that `service_conf_dir` of `section` names: `*.json` and then `*.yaml`, each sorted. Of
  /// two files of one service the later counts. Empty without that key.
  /// - Throws: when the directory cannot be listed, at the key.
  public static func services(
    of section: ConfigSection, environment: [String: String]? = nil
  ) throws(ConfigError) -> [ServiceFile] {
    guard let directory = try section.optionalString("service_conf_dir") else { return [] }
    let names: [String]
    do throws(FileError) {
      names = try Files.list(directory).sorted()
    } catch {
      throw section.error(at: "service_conf_dir", error.description)
    }
    var files: [ServiceFile] = []
    for suffix in [".json", ".yaml"] {
      for name in names where name.hasSuffix(suffix) && !name.hasPrefix(".") {
        let service = String(name.dropLast(suffix.count))
        files.removeAll { $0.service == service }
        let document = Result { () throws(ConfigError) in
          try read("\(directory)/\(name)", environment: environment)
        }
        files.append((service, document))
      }
    }
    return files
  }
}

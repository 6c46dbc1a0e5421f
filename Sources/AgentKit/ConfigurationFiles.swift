public import Reactor
internal import SmartStack
public import YAMLConfig

/// The files that an agent's configuration is made of, as they were read: where none of them differs, reading them again
/// would give the same configuration.
public struct ConfigurationFiles: Sendable {
  /// One file of `service_conf_dir`: its name without the suffix, which is the service's key, and what it holds or why
  /// it cannot be read. One bad file is no reason to ignore the others.
  public typealias ServiceFile = (service: String, document: Result<YAMLDocument, ConfigError>)

  private let environment: [String: String]?
  /// The digests of what was read, or of why it could not be, by path.
  private var files: [String: (limit: Int, digest: [UInt8])] = [:]
  /// The names in every directory that was read, by its path.
  public private(set) var directories: [String: [String]] = [:]

  /// Nothing is read yet.
  /// - Parameter environment: puts variables in for `<%= ENV['NAME'] %>` and refuses other ERB; nil reads the
  ///   files as they stand.
  public init(environment: [String: String]? = nil) { self.environment = environment }

  /// Whether all files and directories are as they were when they were read. Blocks.
  public var areUnchanged: Bool {
    directories.allSatisfy { (try? Files.list($0.key)) == $0.value }
      && files.allSatisfy { path, file in
        let now = Result { () throws(FileError) in try Files.read(path, limit: file.limit) }
        return ConfigurationFiles.digest(of: now) == file.digest
      }
  }

  /// Reads one file that is no document.
  public mutating func bytes(of path: String, limit: Int) throws(FileError) -> [UInt8] {
    let result = Result { () throws(FileError) in try Files.read(path, limit: limit) }
    files[path] = (limit, ConfigurationFiles.digest(of: result))
    return try result.get()
  }

  private static func digest(of result: Result<[UInt8], FileError>) -> [UInt8] {
    switch result {
    case .success(let bytes): MessageDigest.sha256.hash(bytes)
    case .failure(let error): Array(error.description.utf8)
    }
  }

  /// Reads one file as a document.
  public mutating func document(at path: String) throws(ConfigError) -> YAMLDocument {
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try self.bytes(of: path, limit: YAMLLimits.default.bytes)
    } catch {
      throw ConfigError(file: path, problem: error.description)
    }
    guard let environment else { return try YAMLDocument(bytes, file: path) }
    return try YAMLDocument(bytes.expandingTemplate(file: path, environment: environment), file: path)
  }

  /// Reads the directory that `service_conf_dir` of `section` names: `*.json` and then `*.yaml`, each sorted. Of
  /// two files of one service the later counts. Empty without that key, and with an empty text, as tutorials have it.
  /// - Throws: when the directory cannot be listed, at the key.
  public mutating func services(of section: ConfigSection) throws(ConfigError) -> [ServiceFile] {
    guard let directory = try section.optionalString("service_conf_dir"), !directory.isEmpty else { return [] }
    let names: [String]
    do throws(FileError) {
      names = try Files.list(directory)
    } catch {
      throw section.error(at: "service_conf_dir", error.description)
    }
    directories[directory] = names
    var found: [ServiceFile] = []
    for suffix in [".json", ".yaml"] {
      for name in names where name.hasSuffix(suffix) && !name.hasPrefix(".") {
        let service = String(name.dropLast(suffix.count))
        found.removeAll { $0.service == service }
        let document: Result<YAMLDocument, ConfigError>
        do throws(ConfigError) {
          document = .success(try self.document(at: "\(directory)/\(name)"))
        } catch {
          document = .failure(error)
        }
        found.append((service, document))
      }
    }
    return found
  }
}

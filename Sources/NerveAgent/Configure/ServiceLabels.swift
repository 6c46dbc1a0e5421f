internal import SmartStack
internal import Topology
internal import YAMLConfig

/// Labels that operators give to single services: YAML maps in files called `<service><port>…`.
final class ServiceLabels {
  private let directory: String
  private let files: SourceFiles
  private let names: [String]
  /// Files that are none, each named once.
  private(set) var warnings: [String] = []

  init(directory: String, files: SourceFiles) {
    var trimmed = directory
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    self.directory = trimmed
    self.files = files
    do throws(ConfigError) {
      names = try files.names(in: trimmed) ?? []
    } catch {
      names = []
      warnings.append("\(error); no labels of this directory are set")
    }
  }

  /// The labels of all files of a service, in the order of their names. No further digit may follow the port: the
  /// files of port 80800 are not those of port 8080.
  func labels(of service: String, port: Int) -> JSONObject {
    var labels = JSONObject()
    let prefix = "\(service)\(port)"
    for name in names where name.hasPrefix(prefix) {
      let next = name.utf8.dropFirst(prefix.utf8.count).first
      if let next, (0x30...0x39).contains(next) { continue }
      do throws(ConfigError) {
        guard let root = try files.document("\(directory)/\(name)"), !root.isNull else { continue }
        for entry in try root.entries() { labels[entry.name] = entry.value.jsonValue() }
      } catch {
        warnings.append("\(error); the labels of this file are not set")
      }
    }
    return labels
  }
}

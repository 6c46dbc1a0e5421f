internal import SmartStack
internal import YAMLConfig

/// Labels that operators give to single services: YAML maps in files called `<service><port>…`.
struct ServiceLabels {
  private let directory: String
  private let files: SourceFiles
  private let names: [String]

  /// - Throws: when the directory is there and cannot be listed: all labels would be lost.
  init(directory: String, files: SourceFiles) throws(ConfigError) {
    var trimmed = directory
    while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
    self.directory = trimmed
    self.files = files
    names = try files.names(in: trimmed) ?? []
  }

  /// The labels of all files of a service, in the order of their names, and what is wrong with those that are none. No
  /// further digit may follow the port: the files of port 80800 are not those of port 8080.
  func labels(of service: String, port: Int) -> (labels: JSONObject, problems: [ConfigError]) {
    var labels = JSONObject()
    var problems: [ConfigError] = []
    let prefix = "\(service)\(port)"
    for name in names where name.hasPrefix(prefix) {
      let next = name.utf8.dropFirst(prefix.utf8.count).first
      if let next, next.isDigit { continue }
      do throws(ConfigError) {
        guard let root = try files.document("\(directory)/\(name)"), !root.isNull else { continue }
        for entry in try root.entries() { labels[entry.name] = entry.value.jsonValue() }
      } catch {
        problems.append(error)
      }
    }
    return (labels, problems)
  }
}

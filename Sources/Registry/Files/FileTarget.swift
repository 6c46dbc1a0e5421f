internal import SmartStack

/// One JSON file in a directory.
public struct FileTarget: Hashable, Sendable {
  /// `file_path`, without a trailing slash.
  var directory: String
  /// The file's name, `SERVICE@INSTANCE.json`.
  var name: String
  /// The content of the file.
  var data: [UInt8]
  /// `ttl_seconds`: how often the file is written again.
  var renewal: Duration?

  var path: String { "\(directory)/\(name)" }

  /// The name of `service`'s file, as `instance` writes it. No two services share a file, and the files of one instance
  /// can be told from all others.
  static func name(service: String, instance: String) -> String {
    service.escapedFileName + nameEnding(of: instance)
  }

  static func nameBeginning(of service: String) -> String { service.escapedFileName + "@" }

  static func nameEnding(of instance: String) -> String { "@" + instance.escapedFileName + ".json" }
}

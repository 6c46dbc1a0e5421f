public import YAMLConfig

/// A ZooKeeper topology file: a YAML list of `[host, port]`.
public enum ZooKeeperTopology {
  /// The servers as `host:port`, in the file's order; further items of an entry do not count.
  /// - Throws: when the file is missing, empty or wrong, at its line. A port must be a number, as the original tools
  ///   have it.
  public static func servers(_ path: String, files: SourceFiles) throws(ConfigError) -> [String] {
    var servers: [String] = []
    for entry in try files.requiredDocument(path).items() {
      let parts = try entry.items()
      guard parts.count >= 2 else { throw entry.error("expected [host, port], found \(parts.count) items") }
      guard case .scalar(let port) = parts[1].value, port.kind == .int else {
        throw parts[1].error("expected a port number, found \(parts[1].summary)")
      }
      servers.append("\(try parts[0].string()):\(try parts[1].int(in: 1...65_535))")
    }
    return servers
  }
}

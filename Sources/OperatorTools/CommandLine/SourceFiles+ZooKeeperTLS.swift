internal import Configure
internal import Registry
internal import YAMLConfig
internal import ZooKeeper

extension SourceFiles {
  /// `zk_tls` of a file, whatever else it holds: an agent's configuration will do.
  /// - Parameter path: nil: every ensemble is spoken to in plain text.
  /// - Throws: also when the file has no `zk_tls`.
  func zooKeeperTLS(_ path: String?) throws(ConfigError) -> [ZooKeeperTLS] {
    guard let path else { return [] }
    let entries = try requiredDocument(path).section().zooKeeperTLS()
    if entries.isEmpty { throw ConfigError(file: path, problem: "there is no zk_tls") }
    return entries
  }
}

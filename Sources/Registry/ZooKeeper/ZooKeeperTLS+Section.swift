internal import Reactor
public import YAMLConfig
public import ZooKeeper

extension ConfigSection {
  /// `zk_tls` of an agent's file: one mapping for all ensembles, or a list of mappings, of which the first counts that names
  /// a server of the ensemble in `hosts`, or has no `hosts`. Null: every ensemble is spoken to in plain text.
  public func zooKeeperTLS() throws(ConfigError) -> [ZooKeeperTLS] {
    guard let node = node("zk_tls") else { return [] }
    var sections: [ConfigSection] = []
    if case .sequence = node.value { sections = try sectionList("zk_tls") } else { sections = [try adopt(node)] }
    var entries: [ZooKeeperTLS] = []
    for section in sections {
      var options = TLSOptions(serverName: try section.optionalString("server_name"), verify: true)
      options.authorityFile = try section.readableFile("ca")
      options.certificateFile = try section.readableFile("certificate")
      options.keyFile = try section.readableFile("key")
      if options.keyFile != nil, options.certificateFile == nil {
        throw section.error(at: "key", "there is no certificate that it belongs to")
      }
      entries.append(
        ZooKeeperTLS(servers: section.has("hosts") ? try section.ensemble("hosts") : nil, options: options))
    }
    return entries
  }

  /// The path of a file that can be read.
  private func readableFile(_ key: String) throws(ConfigError) -> String? {
    guard let path = try optionalString(key) else { return nil }
    do throws(FileError) { _ = try Files.read(path, limit: 1 << 20) } catch {
      throw self.error(at: key, error.description)
    }
    return path
  }
}

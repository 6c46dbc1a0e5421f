internal import AgentKit
internal import Hacheck
internal import Reactor
internal import YAMLConfig

/// The key `hacheck`: settings of the hacheck inside nerve, all of them optional.
extension HacheckConfiguration {
  /// hacheck's port on Yelp's machines and in our package.
  private static let defaultPort = 6666

  /// hacheck's own settings are read from this file unless the key `config` names another one.
  private static let defaultFile = "/etc/hacheck.yaml"

  /// - Returns: nil when hacheck is switched off.
  static func read(
    _ section: ConfigSection, files: inout ConfigurationFiles, warnings: inout [ConfigError]
  ) throws(ConfigError) -> HacheckConfiguration? {
    var configuration = HacheckConfiguration()
    configuration.ports = [defaultPort]
    let node = section.node("hacheck")
    if let isOn = try? node?.bool() {
      guard isOn else { return nil }
      warnings += try readFile(nil, files: &files, into: &configuration)
      return configuration
    }
    let hacheck = try node.map { node throws(ConfigError) in try section.adopt(node) }
    warnings += try readFile(
      hacheck?.optionalString("config"), files: &files, into: &configuration)
    guard let hacheck else { return configuration }
    configuration.ports = [try hacheck.int("port", in: 0...65535, default: defaultPort)]
    configuration.bindAddress = try hacheck.string("bind_address", default: configuration.bindAddress)
    configuration.spoolRoot = try hacheck.string("spool_root", default: configuration.spoolRoot)
    return configuration
  }

  /// A file that was named must be there; the default one need not.
  private static func readFile(
    _ path: String?, files: inout ConfigurationFiles, into configuration: inout HacheckConfiguration
  ) throws(ConfigError) -> [ConfigError] {
    let file = path ?? defaultFile
    let bytes: [UInt8]
    do throws(FileError) {
      bytes = try files.bytes(of: file, limit: 1 << 20)
    } catch {
      if path == nil, !Files.exists(file) { return [] }
      throw ConfigError(file: file, problem: error.description)
    }
    let warnings = try configuration.read(bytes, file: file)
    // Of the program on its own: nerve needs descriptors for its own checks besides, and raises its limit.
    configuration.descriptorLimit = nil
    return warnings
  }
}

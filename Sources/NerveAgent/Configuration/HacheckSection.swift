internal import Hacheck
internal import YAMLConfig

/// The key `hacheck`: what the hacheck inside nerve needs to know. All of it may be left out.
enum HacheckSection {
  static func read(_ section: ConfigSection, warnings: inout [ConfigError]) throws(ConfigError) -> HacheckConfiguration? {
    nil
  }
}

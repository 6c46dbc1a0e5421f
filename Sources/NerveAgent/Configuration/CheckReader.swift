internal import Hacheck
internal import YAMLConfig

/// Reads one entry of `checks`.
struct CheckReader {
  let service: String
  let host: String
  let port: Int
  let section: ConfigSection

  func read() throws(ConfigError) -> CheckConfiguration {
    let kind = try section.choice("type", of: ProbeKind.self)
    let host = try section.string("host", default: host)
    let port = try section.int("port", in: 1...65535, default: port)
    let given = try section.optionalString("name")
    let usual = "\(service) \(kind.rawValue)-\(host):\(port)"
    let settings = try kind.read(
      section, target: ProbeTarget(service: service, check: given ?? usual, host: host, port: port))
    return CheckConfiguration(
      name: given ?? settings.name ?? usual, settings: settings,
      rise: try section.int("rise", in: 0...1_000_000, default: 1),
      fall: try section.int("fall", in: 0...1_000_000, default: 1))
  }
}

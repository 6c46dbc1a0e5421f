internal import Hacheck
internal import Registry
internal import SmartStack
internal import YAMLConfig

/// Reads one service's section.
struct ServiceReader {
  let key: String
  let instanceID: String
  let section: ConfigSection

  /// The service, or its copies with `load_test_concurrency`.
  /// - Throws: at the first thing that is wrong.
  func read() throws(ConfigError) -> [ServiceConfiguration] {
    let host = try section.host("host")
    let port = try section.int("port", in: 1...65535)
    // configure_nerve writes the ensemble's name for its own use.
    section.acknowledge("zk_cluster_name", "name")
    // Upstream copies it from the top level to every service, and people copy it from there.
    section.acknowledge("max_repeated_report_failures")
    let registry = RegistrationReader(instanceID: instanceID, section: section)
    let service = ServiceConfiguration(
      key: key, name: key, host: host, port: port, registry: try registry.read(name: key),
      checks: try checks(host: host, port: port),
      interval: try section.duration("check_interval", in: 0.001...86_400, default: .milliseconds(500)),
      isMocked: try section.bool("check_mocked", default: false), rateLimit: try rateLimit())
    guard let copies = try section.optionalInt("load_test_concurrency", in: 0...100_000) else { return [service] }
    var services: [ServiceConfiguration] = []
    for number in 0..<copies {
      var copy = service
      copy.name = "\(key)_\(number)"
      copy.registry = try registry.read(name: copy.name)
      services.append(copy)
    }
    return services
  }

  /// A service with the same registry, whose reading asks for every key.
  static func sample(like section: ConfigSection) -> ConfigSection? {
    let type = section.node("reporter_type").flatMap { try? $0.string() } ?? "zookeeper"
    let text = """
      {host: a, port: 1, reporter_type: \(JSONText.quoted(type)), zk_hosts: ["a:1"], zk_path: /a, file_path: /a, \
      etcd_host: a, etcd_path: /a, checks: []}
      """
    guard let document = try? YAMLDocument(Array(text.utf8), file: ""), let sample = try? ConfigSection(document.root),
      (try? ServiceReader(key: type, instanceID: type, section: sample).read()) != nil
    else { return nil }
    return sample
  }

  // MARK: Rate limit

  private func rateLimit() throws(ConfigError) -> RateLimit? {
    guard let limit = try section.optionalSection("rate_limiting") else { return nil }
    return RateLimit(
      averageRate: try limit.optionalDouble("average_rate", in: 0...1e9) ?? .infinity,
      maxBurst: try limit.optionalDouble("max_burst", in: 1...1e9) ?? .infinity,
      isShadow: try limit.bool("shadow_mode", default: true))
  }

  // MARK: Checks

  private func checks(host: String, port: Int) throws(ConfigError) -> [CheckConfiguration] {
    var checks: [CheckConfiguration] = []
    for check in try section.sectionList("checks") {
      checks.append(try self.check(check, host: host, port: port))
    }
    return checks
  }

  private func check(_ section: ConfigSection, host: String, port: Int) throws(ConfigError) -> CheckConfiguration {
    let kind = try section.choice("type", of: ProbeKind.self)
    let host = try section.host("host", default: host)
    let port = try section.int("port", in: 1...65535, default: port)
    let given = try section.optionalString("name")
    let usual = "\(key) \(kind.rawValue)-\(host):\(port)"
    let settings = try kind.read(
      section, target: ProbeTarget(service: key, check: given ?? usual, host: host, port: port))
    return CheckConfiguration(
      name: given ?? settings.name ?? usual, settings: settings,
      rise: try results("rise", of: section), fall: try results("fall", of: section))
  }

  /// A number of results in a row.
  private func results(_ key: String, of section: ConfigSection) throws(ConfigError) -> Int {
    let count = try section.int(key, in: 0...1_000_000, default: 1)
    if count == 0 { section.warn(at: key, "0 counts as 1") }
    return max(1, count)
  }
}

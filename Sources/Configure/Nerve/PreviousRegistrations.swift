internal import SmartStack

/// What of the current file can be kept: registrations, and the operator's own keys.
struct PreviousRegistrations {
  private let services: JSONObject

  /// What is no such file, or not there, has none.
  init(_ bytes: [UInt8]?) {
    services = bytes.flatMap { JSONValue($0) }?["services"]?.object ?? [:]
  }

  /// Where nerve's page is, and how nerve speaks to ZooKeeper: configure_nerve has no such options, so they stay as the
  /// operator has set them.
  static func operatorsKeys(of bytes: [UInt8]) -> [(key: String, value: JSONValue)] {
    let names = ["status_port", "status_address", "status_hosts", "zk_auth", "zk_auth_file", "zk_tls"]
    let root = JSONValue(bytes, keeping: Set(names))
    return names.compactMap { name in root?[name].map { (key: name, value: $0) } }
  }

  func registration(_ key: String) -> JSONValue? { services[key] }

  /// How many are in an ensemble.
  func count(in cluster: String) -> Int {
    services.members.filter { $0.value["zk_cluster_name"]?.string == cluster }.count
  }

  /// The entries of a service that cannot be read at the moment: a half-written file must not deregister what runs.
  func registrations(of skipped: SkippedService) -> [(key: String, value: JSONValue)] {
    guard let service = skipped.name else { return [] }
    let suffix = skipped.port.map { ".\($0)" }
    return services.members.filter { key, value in
      let isItsName = PreviousRegistrations.serviceName(value).map { $0 == service || $0.hasPrefix(service + ".") }
      guard let suffix else { return isItsName == true }
      guard isItsName == true || isItsName != nil && skipped.isUnderAnyName else { return false }
      return key.hasSuffix(suffix) || key.hasSuffix(suffix + ".v2.new")
    }
  }

  /// Returns the service of a path: `web.main` of `/smartstack/global/web.main`.
  private static func serviceName(_ value: JSONValue) -> String? {
    guard let path = value["zk_path"]?.string else { return nil }
    for prefix in ["/smartstack/global/", "/envoy/global/"] where path.hasPrefix(prefix) {
      return String(path.dropFirst(prefix.count))
    }
    return nil
  }
}

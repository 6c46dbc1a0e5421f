internal import SmartStack
internal import YAMLConfig
internal import ZooKeeper

/// Reads one service's section.
struct ServiceReader {
  let key: String
  let instanceID: String
  let section: ConfigSection

  /// The service, or its copies with `load_test_concurrency`.
  /// - Throws: at the first thing that is wrong.
  func read() throws(ConfigError) -> [ServiceConfiguration] {
    let host = try section.string("host")
    guard !host.isEmpty else { throw section.error("host", "an address or a name is needed") }
    let port = try section.int("port", in: 1...65535)
    // configure_nerve writes the ensemble's name for its own use.
    section.acknowledge("zk_cluster_name", "name")
    let service = ServiceConfiguration(
      key: key, name: key, host: host, port: port, registry: try registry(host: host),
      checks: try checks(host: host, port: port),
      interval: try section.duration("check_interval", in: 0.001...86_400, default: .milliseconds(500)),
      isMocked: try section.bool("check_mocked", default: false), rateLimit: try rateLimit())
    guard let copies = try section.optionalInt("load_test_concurrency", in: 0...100_000) else { return [service] }
    return (0..<copies).map { number in
      var copy = service
      copy.name = "\(key)_\(number)"
      return copy
    }
  }

  // MARK: Registry

  private func registry(host: String) throws(ConfigError) -> ZooKeeperTarget {
    let type = try section.string("reporter_type", default: "zookeeper")
    guard type.lowercased() == "zookeeper" else {
      throw section.error("reporter_type", "'\(type)' is not one of zookeeper")
    }
    let payload = try payload(host: host)
    let mode = try nodeMode()
    let registration = Registration(
      directory: try directory(),
      name: payload.nodeName(pathEncoded: flag("use_path_encoding")),
      data: Array(payload.json.utf8), mode: mode)
    return ZooKeeperTarget(
      ensemble: try ensemble(), registration: registration,
      renewal: try section.optionalDuration("ttl_seconds", in: 0.1...1e9))
  }

  private func payload(host: String) throws(ConfigError) -> RegistrationPayload {
    var payload = RegistrationPayload(host: host, port: "", name: instanceID)
    payload.port = try section.required("port").json()
    if let weight = section.rawNode("weight") {
      guard !weight.isNull else {
        throw section.error("weight", "is null; a whole number from 0 on is needed, or no such key")
      }
      payload.weight = try weight.int(in: 0...Int(Int32.max))
    }
    payload.haproxyServerOptions = section.rawNode("haproxy_server_options")?.json()
    payload.labels = section.rawNode("labels")?.json()
    return payload
  }

  private func nodeMode() throws(ConfigError) -> NodeMode {
    let words: [String: NodeMode] = [
      "ephemeral_sequential": .ephemeralSequential, "ephemeral": .ephemeral,
      "persistent_sequential": .persistentSequential, "persistent": .persistent,
    ]
    let word = try section.choice("node_type", of: words.keys.sorted(), default: "ephemeral_sequential")
    return words[word] ?? .ephemeralSequential
  }

  /// Only the boolean true is true; the original took the text "true" for false, and files rely on it.
  private func flag(_ key: String) -> Bool {
    guard let node = section.node(key), let value = try? node.bool() else { return false }
    return value
  }

  private func directory() throws(ConfigError) -> String {
    var path = try section.string("zk_path")
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/") else {
      throw section.error("zk_path", "'\(path)' does not begin with a slash")
    }
    let names = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
    let isBad = names.contains { ["", ".", ".."].contains($0) } && path != "/"
    guard !isBad, !path.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) else {
      throw section.error("zk_path", "'\(path)' is no path of a znode")
    }
    return path
  }

  /// The hosts sorted and joined, each with its port, the chroot at the end.
  private func ensemble() throws(ConfigError) -> String {
    _ = try section.required("zk_hosts")
    var hosts: Set<String> = []
    var chroots: Set<String> = []
    for text in try section.strings("zk_hosts") {
      let (host, chroot) = text.cut(at: "/")
      guard !host.isEmpty, !host.contains(where: { $0 == "," || $0.isWhitespace }) else {
        throw section.error("zk_hosts", "'\(text)' is no HOST:PORT")
      }
      let hasPort = host.hasSuffix("]") ? false : host.contains(":")
      hosts.insert(hasPort ? String(host) : "\(host):2181")
      if let chroot, !chroot.isEmpty { chroots.insert("/" + chroot) }
    }
    guard !hosts.isEmpty else { throw section.error("zk_hosts", "not one host") }
    guard chroots.count <= 1 else {
      throw section.error("zk_hosts", "different paths below the hosts: \(chroots.sorted().joined(separator: ", "))")
    }
    return hosts.sorted().joined(separator: ",") + (chroots.first ?? "")
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
      checks.append(try CheckReader(service: key, host: host, port: port, section: check).read())
    }
    return checks
  }
}

/// Reads one entry of `checks`.
private struct CheckReader {
  let service: String
  let host: String
  let port: Int
  let section: ConfigSection

  func read() throws(ConfigError) -> CheckConfiguration {
    let type = try section.choice("type", of: ["http", "noop", "tcp"])
    let host = try section.string("host", default: host)
    let port = try section.int("port", in: 1...65535, default: port)
    let timeout = try section.duration("timeout", in: 0.001...86_400, default: .milliseconds(100))
    let given = try section.optionalString("name")
    var name = given ?? "\(service) \(type)-\(host):\(port)"
    let kind: CheckConfiguration.Kind
    switch type {
    case "http":
      let settings = try http(host: host, port: port, timeout: timeout)
      name = given ?? "http-\(host):\(port)\(settings.uri)"
      kind = .http(settings)
    case "tcp": kind = .tcp(host: host, port: port, timeout: timeout)
    default: kind = .noop
    }
    return CheckConfiguration(
      name: name, kind: kind, rise: try section.int("rise", in: 0...1_000_000, default: 1),
      fall: try section.int("fall", in: 0...1_000_000, default: 1))
  }

  private func http(host: String, port: Int, timeout: Duration) throws(ConfigError) -> HTTPCheckSettings {
    var uri = try section.string("uri")
    if !uri.hasPrefix("/") { uri = "/" + uri }
    guard !uri.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7f }) else {
      throw section.error("uri", "holds a blank or a control character; encode it with %")
    }
    let range = 0.001...86_400.0
    return HTTPCheckSettings(
      host: host, port: port, uri: uri, usesTLS: try section.bool("ssl", default: false),
      openTimeout: try section.duration("open_timeout", in: range, default: .milliseconds(200)),
      handshakeTimeout: try section.duration("ssl_timeout", in: range, default: .milliseconds(200)),
      readTimeout: try section.duration("read_timeout", in: range, default: timeout),
      headers: try headers(), expect: try section.optionalString("expect"))
  }

  private func headers() throws(ConfigError) -> [HTTPCheckSettings.Header] {
    let pairs = try section.stringMap("headers")
    for (name, value) in pairs {
      let isToken = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") }
      guard isToken, !value.unicodeScalars.contains(where: { $0 == "\r" || $0 == "\n" || $0 == "\0" }) else {
        throw section.error("headers", "'\(name)' or its value cannot be sent as a header")
      }
    }
    return pairs.map { HTTPCheckSettings.Header(name: $0.name, value: $0.value) }
  }
}

extension String {
  /// What stands before the first `separator`, and what stands after it; nil when there is none.
  fileprivate func cut(at separator: Character) -> (before: Substring, after: Substring?) {
    guard let index = firstIndex(of: separator) else { return (self[...], nil) }
    return (self[..<index], self[self.index(after: index)...])
  }
}

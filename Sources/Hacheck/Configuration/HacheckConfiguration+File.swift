internal import Reactor
internal import SmartStack
public import YAMLConfig

extension HacheckConfiguration {
  /// Reads the YAML file on top of these settings.
  ///
  /// - Parameter bytes: the file's contents; nothing at all leaves the settings as they are.
  /// - Returns: what was odd but no reason to stop: unknown keys.
  /// - Throws: the first value that cannot be, with its place.
  public mutating func read(_ bytes: [UInt8], file: String) throws(ConfigError) -> [ConfigError] {
    let document = try YAMLDocument(bytes, file: file)
    let section = try document.root.section()
    try readChecks(section)
    try readAccounts(section)
    try readNetworks(section)
    try readSizes(section)
    try readListening(section)
    if let path = try section.optionalString("log_path") { logPath = path }
    user = try section.optionalString("user") ?? user
    group = try section.optionalString("group") ?? group
    if section.node("rlimit_nofile") != nil {
      let isHardLimit = try section.string("rlimit_nofile") == "max"
      descriptorLimit = isHardLimit ? .max : try section.int("rlimit_nofile", in: 16...Int(Int32.max))
    }
    return document.warnings + section.unknownKeys()
  }

  /// The same, from a file on the disk. Blocks.
  public mutating func load(path: String) throws(ConfigError) -> [ConfigError] {
    let bytes: [UInt8]
    do {
      bytes = try Files.read(path, limit: 1 << 20)
    } catch {
      throw ConfigError(file: path, problem: "\(error)")
    }
    return try read(bytes, file: path)
  }

  private mutating func readChecks(_ section: ConfigSection) throws(ConfigError) {
    cacheTime = try section.duration("cache_time", default: cacheTime)
    healthcheckTimeout = try section.duration("healthcheck_timeout", in: 0.001...86_400, default: healthcheckTimeout)
    reusesConnections = try section.bool("reuse_connection", default: reusesConnections)
    serviceNameHeader = try section.optionalString("service_name_header") ?? serviceNameHeader
    if let nodes = section.node("http_headers_to_copy") { headersToCopy = try nodes.items().strings() }
    if let name = (headersToCopy + [serviceNameHeader].compactMap { $0 }).first(where: { !$0.isHeaderName }) {
      throw section.error(at: "http_headers_to_copy", "\(name.quoted) cannot be the name of a header")
    }
  }

  private mutating func readAccounts(_ section: ConfigSection) throws(ConfigError) {
    mysqlUsername = try section.optionalString("mysql_username") ?? mysqlUsername
    mysqlPassword = try section.optionalString("mysql_password") ?? mysqlPassword
    redisUsername = try section.optionalString("redis_username") ?? redisUsername
    redisPassword = try section.optionalString("redis_password") ?? redisPassword
    mysqlServers = try section.servers("mysql_servers", port: 3306) ?? mysqlServers
    redisServers = try section.servers("redis_servers", port: 6379) ?? redisServers
    smtpHello = try section.optionalString("smtp_hello") ?? smtpHello
    if let name = smtpHello, !SMTPProbe.isHostName(name) {
      throw section.error(at: "smtp_hello", "\(name.quoted) is not a host name")
    }
    mysqlServerKey = try section.serverKey("mysql_server_public_key", default: mysqlServerKey)
  }

  private mutating func readNetworks(_ section: ConfigSection) throws(ConfigError) {
    allowsSpoolChanges = try section.bool("allow_remote_spool_changes", default: allowsSpoolChanges)
    if let node = section.node("spool_change_networks") {
      (spoolChangeNetworks, allowsOwnSpoolChanges) = try node.items().ranges(allowing: "this-machine")
    }
    if let nodes = section.node("page_hosts") { pageHosts = try nodes.items().strings() }
    if let node = section.node("check_networks") { checkNetworks = try node.items().ranges().networks }
  }

  private mutating func readSizes(_ section: ConfigSection) throws(ConfigError) {
    checksPerTarget = try section.int("max_clients", in: 1...100_000, default: checksPerTarget)
    checksInAll = try section.int("max_checks", in: 1...1_000_000, default: checksInAll)
    cacheSize = try section.int("cache_size", in: 1...10_000_000, default: cacheSize)
    seenServicesSize = try section.int("seen_services_size", in: 1...10_000_000, default: seenServicesSize)
    seenServicesTime = try section.duration("seen_services_time", default: seenServicesTime)
    bodyLimit = try section.int("max_body_bytes", in: 0...(64 << 20), default: bodyLimit)
  }

  private mutating func readListening(_ section: ConfigSection) throws(ConfigError) {
    unixSocket = try section.optionalString("unix_socket") ?? unixSocket
    if let text = try section.optionalString("unix_socket_mode") {
      // YAML 1.1 reads 0660 as an octal number; as text it arrives here as it was written.
      let digits = text.hasPrefix("0o") ? text.dropFirst(2) : text[...]
      guard let mode = UInt32(digits, radix: 8), mode <= 0o777 else {
        throw section.error(at: "unix_socket_mode", "\(text.quoted) is not a mode; write \"0660\"")
      }
      unixSocketMode = mode
    }
    maxConnections = try section.int("max_connections", in: 1...1_000_000, default: maxConnections)
    requestTimeout = try section.duration("request_timeout", in: 0.1...3600, default: requestTimeout)
  }
}

extension ConfigSection {
  /// Servers by address: a list of `ADDRESS[:PORT]`; nil without the key.
  fileprivate func servers(_ key: String, port usual: Int) throws(ConfigError) -> Set<Endpoint>? {
    guard let nodes = node(key) else { return nil }
    var servers: Set<Endpoint> = []
    for node in try nodes.items() {
      let text = try node.string()
      let colon = text.hasSuffix("]") || ServerText.isAddress(text) ? nil : text.lastIndex(of: ":")
      let port = colon.map { Int(text[text.index(after: $0)...]) } ?? usual
      let host = ServerText.host(String(text[..<(colon ?? text.endIndex)]))
      let address = host == "localhost" ? IPAddress("127.0.0.1") : host.flatMap { IPAddress($0)?.unmapped }
      guard let address, let port, (1...65535).contains(port) else {
        throw node.error("\(text.quoted) is not a server; write ADDRESS or ADDRESS:PORT, 127.0.0.1 for this machine")
      }
      servers.insert(.tcp(host: address.description, port: port))
    }
    return servers
  }
}

extension [YAMLNode] {
  fileprivate func strings() throws(ConfigError) -> [String] {
    var texts: [String] = []
    for node in self { texts.append(try node.string()) }
    return texts
  }

  /// Networks and, if `allowing` has one, a word for something else.
  /// - Returns: the networks, and whether the word is there.
  fileprivate func ranges(allowing word: String? = nil) throws(ConfigError) -> (networks: [AddressRange], word: Bool) {
    var (networks, hasWord): ([AddressRange], Bool) = ([], false)
    for node in self {
      let text = try node.string()
      if let network = AddressRange(text) {
        networks.append(network)
      } else if text == word {
        hasWord = true
      } else {
        let forms = word.map { ", fd00::/8, a single address, or \($0)" } ?? ", fd00::/8 or a single address"
        throw node.error("\(text.quoted) is not a network; write 10.0.0.0/8\(forms)")
      }
    }
    return (networks, hasWord)
  }
}

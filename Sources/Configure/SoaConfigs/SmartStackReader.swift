internal import SmartStack
internal import YAMLConfig

/// Reads one namespace, all of it: what is wrong with one value is noted, and the reading goes on.
///
/// This is the only reading of smartstack.yaml: both writers and the operators' tools have the same mistakes, in the
/// same words, at the same places.
struct SmartStackReader {
  static let modes = ["http", "tcp", "https"]
  /// What hacheck has a route for.
  static let checkModes = modes + ["mysql", "smtp", "redis", "spool"]

  private let node: YAMLNode
  /// Whether this is an entry of a list of local services: the instance is with it, and `extra_advertise` holds pairs.
  private let isListed: Bool
  private let types: [String]?
  var namespace: SmartStackNamespace

  /// Reads a namespace.
  /// - Parameter types: the location types, most general first; nil leaves types unjudged.
  static func read(
    _ node: YAMLNode, name: String, isListed: Bool = false, types: [String]?
  ) -> SmartStackNamespace {
    var reader = SmartStackReader(
      node: node, isListed: isListed, types: types, namespace: SmartStackNamespace(name: name, at: node))
    reader.readAll()
    reader.namespace.mistakes.sort { ($0.error.line, $0.error.column) < ($1.error.line, $1.error.column) }
    return reader.namespace
  }

  private mutating func readAll() {
    do throws(ConfigError) { _ = try node.entries() } catch {
      namespace.proxyPort = .wrong
      return note(error, at: nil, skippedBy: Set(SmartStackUser.allCases))
    }
    readProxyPort()
    // Without a proxy the name is one of a file only.
    let isOnlyFile = namespace.proxyPort == .discoveryOnly && !namespace.name.contains("/") && namespace.name.isOneLine
    if namespace.isForSynapse, !isOnlyFile, !ProxyText.isName(namespace.name) {
      note(
        node.error(
          "the name '\(namespace.name)' has characters that HAProxy's names cannot have: only letters, digits, .:_-"),
        at: .proxyPort)
    }
    readPlacement()
    readExtraAdvertisements()
    readMode()
    readHealthCheck()
    readTraffic()
    readChaos()
    readPlugins()
    if isListed { readInstance() } else { readRoutes() }
    namespace.updownTimeout = read(.updownTimeout, nullIsAbsent: true) { (node) throws(ConfigError) in
      try node.truncatedNumber(in: 0...1_000_000)
    }
  }

  // MARK: Values

  /// The value at a key; null counts as one.
  func value(_ key: SmartStackKey) -> YAMLNode? { node[key.rawValue] }

  func isTrue(_ key: SmartStackKey) -> Bool { value(key)?.isTrue ?? false }

  mutating func note(_ error: ConfigError, at key: SmartStackKey?, skippedBy users: Set<SmartStackUser>?) {
    namespace.mistakes.append((key, error, users))
  }

  private mutating func note(_ error: ConfigError, at key: SmartStackKey) {
    note(error, at: key, skippedBy: key.users)
  }

  /// Reads a value; nil when the key is absent, or after its mistake was noted.
  mutating func read<Value>(
    _ key: SmartStackKey, nullIsAbsent: Bool = false, as body: (YAMLNode) throws(ConfigError) -> Value
  ) -> Value? {
    guard let node = value(key), !(nullIsAbsent && node.isNull) else { return nil }
    return read(node, of: key, as: body)
  }

  /// Reads a value that stands below a key; nil after its mistake was noted.
  mutating func read<Value>(
    _ node: YAMLNode, of key: SmartStackKey, as body: (YAMLNode) throws(ConfigError) -> Value
  ) -> Value? {
    do throws(ConfigError) { return try body(node) } catch {
      note(error, at: key)
      return nil
    }
  }

  /// The entries of a mapping; none when the key is absent, or after its mistake was noted.
  mutating func entries(_ key: SmartStackKey) -> [YAMLEntry] {
    read(key) { (node) throws(ConfigError) in try node.entries() } ?? []
  }

  // MARK: Places

  private mutating func readProxyPort() {
    guard let port = value(.proxyPort) else { return }
    if port.isNull {
      namespace.proxyPort = .discoveryOnly
      return
    }
    namespace.proxyPort =
      read(port, of: .proxyPort) { (port) throws(ConfigError) -> SmartStackNamespace.ProxyPort in
        guard case .scalar(let scalar) = port.value, let number = scalar.double else {
          throw port.error("expected a port number or null, found \(port.summary)")
        }
        if number < 0 { return .negative }
        let value = try port.int(in: 0...65_535)
        if value == 0 {
          throw port.error("0 is not a port; null gives discovery without a proxy, no proxy_port nothing at all")
        }
        return .port(value)
      } ?? .wrong
  }

  private mutating func readPlacement() {
    var isDiscoverRead = true
    if let given = value(.discover) {
      if case .scalar(let scalar) = given.value, scalar.kind != .null {
        namespace.discover = scalar.text
      } else {
        isDiscoverRead = false
        note(given.error("expected a location type, found \(given.summary)"), at: .discover)
      }
    }
    guard readAdvertised(), isDiscoverRead, namespace.isForSynapse, let types,
      !namespace.advertise.contains(namespace.discover)
    else { return }
    let place = value(.discover) ?? value(.advertise) ?? node
    let discover = namespace.discover
    note(
      types.contains(discover)
        ? place.error(
          "the service is discovered by '\(discover)', which is not among the types it is advertised in "
            + "(\(namespace.advertise.joined(separator: ", ")))")
        : SmartStackReader.unknown(discover, at: place, known: types), at: .discover)
  }

  /// - Returns: whether the advertised types are known to be what the file means.
  private mutating func readAdvertised() -> Bool {
    guard let given = value(.advertise) else { return true }
    if isListed, given.isNull {
      namespace.advertise = []
      return true
    }
    guard let items = read(given, of: .advertise, as: { (given) throws(ConfigError) in try given.items() }) else {
      return false
    }
    namespace.advertiseNode = given
    var known: [(rank: Int, type: String)] = []
    var unknown: [ConfigError] = []
    for item in items {
      if case .scalar(let scalar) = item.value, scalar.kind == .text || types != nil,
        let rank = types.map({ $0.lastIndex(of: scalar.text) }) ?? 0
      {
        known.append((rank, scalar.text))
      } else if case .scalar(let scalar) = item.value {
        unknown.append(SmartStackReader.unknown(scalar.text, at: item, known: types ?? []))
      } else {
        unknown.append(item.error("expected a location type, found \(item.summary)"))
      }
    }
    // Sorting by place as well keeps equal ones in their order.
    namespace.advertise = known.enumerated().sorted {
      ($1.element.rank, $0.offset) < ($0.element.rank, $1.offset)
    }.map(\.element.type)
    // A service that would be advertised nowhere keeps what it has.
    let isLost = known.isEmpty && !items.isEmpty
    for error in unknown {
      note(error, at: .advertise, skippedBy: isLost ? SmartStackKey.advertise.users : nil)
    }
    return !isLost
  }

  private static func unknown(_ type: String, at node: YAMLNode, known types: [String]) -> ConfigError {
    node.error("'\(type)' is not a location type (\(types.joined(separator: ", ")))")
  }

  /// `{source: [destination…]}`, or in a list `[[source, destination]…]`.
  private mutating func readExtraAdvertisements() {
    guard let given = value(.extraAdvertise), isListed || !given.isNull else { return }
    let isListed = isListed
    let pairs = read(given, of: .extraAdvertise) {
      (given) throws(ConfigError) -> [(source: YAMLNode, destination: YAMLNode)] in
      if isListed {
        return try given.items().map { (pair) throws(ConfigError) in
          guard case .sequence(let both) = pair.value, both.count == 2 else {
            throw pair.error("expected [source, destination], found \(pair.summary)")
          }
          return (both[0], both[1])
        }
      }
      var pairs: [(source: YAMLNode, destination: YAMLNode)] = []
      for entry in try given.entries() {
        for destination in try entry.value.items() { pairs.append((entry.key, destination)) }
      }
      return pairs
    }
    for pair in pairs ?? [] {
      guard let source = location(pair.source), let destination = location(pair.destination) else { continue }
      namespace.extraAdvertise.append((source, destination, pair.destination))
    }
  }

  private mutating func location(_ node: YAMLNode) -> SmartStackNamespace.Location? {
    let types = types
    return read(node, of: .extraAdvertise) { (node) throws(ConfigError) in
      let parts = try node.string().split(separator: ":", omittingEmptySubsequences: false).map(String.init)
      guard parts.count == 2 else { throw node.error("expected type:location, found \(node.summary)") }
      if let types, !types.contains(parts[0]) { throw SmartStackReader.unknown(parts[0], at: node, known: types) }
      return SmartStackNamespace.Location(type: parts[0], name: parts[1])
    }
  }

  private mutating func readRoutes() {
    guard let given = value(.routes), !given.isNull else { return }
    namespace.routes =
      read(given, of: .routes) { (given) throws(ConfigError) -> [(source: String, destination: String)] in
        var pairs: [(source: String, destination: String)] = []
        for route in try given.items() {
          let section = try route.section()
          let source = try section.string("source")
          for destination in try section.required("destinations").items() {
            pairs.append((source, try destination.string()))
          }
        }
        return pairs
      } ?? []
  }

  private static func text(_ node: YAMLNode) throws(ConfigError) -> String {
    let text = try node.string()
    if text.isEmpty { throw node.error("expected text, found \(node.summary)") }
    return text
  }

  // MARK: Checks

  private mutating func readMode() {
    guard let given = value(.mode), !given.isNull,
      let mode = read(given, of: .mode, as: { (given) throws(ConfigError) in try given.string() })
    else { return }
    if !ProxyText.isName(mode) {
      return note(given.error("expected http, tcp or https, found \(given.summary)"), at: .mode)
    }
    namespace.mode = mode
    // Upstream's synapse-tools write any word into the check's path, its nerve-tools refuse what they do not know.
    if !isListed, !SmartStackReader.modes.contains(mode) {
      let words = SmartStackReader.modes.joined(separator: ", ")
      note(given.error("unknown mode '\(mode)'; it is one of \(words)"), at: .mode, skippedBy: [.nerve])
    }
  }

  private mutating func readHealthCheck() {
    namespace.health.mode = read(.checkMode, nullIsAbsent: true) { (node) throws(ConfigError) in
      let mode = try node.string()
      guard SmartStackReader.checkModes.contains(mode) else {
        let words = SmartStackReader.checkModes.joined(separator: ", ")
        throw node.error("unknown mode '\(mode)'; it is one of \(words)")
      }
      return mode
    }
    let uri = read(.checkURI) { (node) throws(ConfigError) in
      let uri = try node.string()
      guard uri.isEmpty || ProxyText.isPlainWord(uri) else {
        throw node.error("a blank, quote, backslash or # cannot stand in a path; write it as %20, %22, %27, %5C, %23")
      }
      return uri
    }
    namespace.health.uri = uri ?? namespace.health.uri
    namespace.health.port = read(.checkPort, nullIsAbsent: true) { (node) throws(ConfigError) in
      try node.int(in: 0...65_535)
    }
    let seconds = read(.checkTimeout) { (node) throws(ConfigError) in
      guard case .scalar(let scalar) = node.value, let seconds = scalar.double, seconds >= 0.001, seconds < 86_400
      else {
        throw node.error("expected a number of seconds, 0.001 to 86399, found \(node.summary)")
      }
      return seconds
    }
    if let seconds, let given = value(.checkTimeout) {
      (namespace.health.seconds, namespace.health.timeout) = (seconds, given.jsonValue())
    }
    namespace.health.expect =
      read(.checkExpect) { (node) throws(ConfigError) -> JSONValue? in
        guard case .scalar(let scalar) = node.value else { throw node.error("expected text, found \(node.summary)") }
        return scalar.isTrue ? node.jsonValue() : nil
      } ?? nil
    namespace.health.headers = readHeaders(.checkHeaders)
  }

  private mutating func readInstance() {
    namespace.instance.port =
      read(.port, nullIsAbsent: true) { (node) throws(ConfigError) -> Int? in
        guard node.isTrue else { return nil }
        guard case .scalar(let scalar) = node.value, scalar.kind != .text, let port = try? node.int(in: 1...65_535)
        else { throw node.error("expected a port number, found \(node.summary)") }
        return port
      } ?? nil
    namespace.instance.address = read(.serviceIP, nullIsAbsent: true, as: SmartStackReader.text)
    namespace.instance.hacheck =
      read(.hacheckIP, nullIsAbsent: true, as: SmartStackReader.text) ?? namespace.instance.hacheck
    namespace.instance.weight = read(.weight, nullIsAbsent: true) { (node) throws(ConfigError) in
      guard case .scalar(let scalar) = node.value, scalar.double?.isFinite == true else {
        throw node.error("expected a number, found \(node.summary)")
      }
      return node.jsonValue()
    }
    for key in [SmartStackKey.deployGroup, .instance] {
      if let given = value(key), given.isTrue { namespace.instance.labels[key.rawValue] = given.jsonValue() }
    }
  }
}

internal import Hacheck
internal import Reactor
internal import YAMLConfig

/// Reads one entry of `checks`.
struct CheckReader {
  let service: String
  let host: String
  let port: Int
  let section: ConfigSection

  private static let range = 0.001...86_400.0

  func read() throws(ConfigError) -> CheckConfiguration {
    let type = try section.choice("type", of: ["exec", "http", "mysql", "noop", "rabbitmq", "redis", "tcp"])
    let host = try section.string("host", default: host)
    let port = try section.int("port", in: 1...65535, default: port)
    let given = try section.optionalString("name")
    var name = given ?? "\(service) \(type)-\(host):\(port)"
    let kind: CheckConfiguration.Kind
    switch type {
    case "exec": kind = .exec(try exec(name: name, host: host, port: port))
    case "http":
      let settings = try http(host: host, port: port, timeout: try timeout())
      name = given ?? "http-\(host):\(port)\(settings.uri)"
      kind = .http(settings)
    case "mysql": kind = .mysql(try mysql(host: host, port: port))
    case "redis": kind = .redis(try redis(host: host, port: port))
    case "rabbitmq": kind = .rabbitMQ(try rabbitMQ(host: host, port: port))
    case "tcp": kind = .tcp(host: host, port: port, timeout: try timeout())
    default:
      section.acknowledge("timeout")
      kind = .noop
    }
    return CheckConfiguration(
      name: name, kind: kind, rise: try section.int("rise", in: 0...1_000_000, default: 1),
      fall: try section.int("fall", in: 0...1_000_000, default: 1))
  }

  private func timeout(default fallback: Duration = .milliseconds(100)) throws(ConfigError) -> Duration {
    try section.duration("timeout", in: CheckReader.range, default: fallback)
  }

  // MARK: Commands

  /// A program may take longer to start than a connection to open.
  private static let execTimeout = Duration.seconds(5)

  private func exec(name: String, host: String, port: Int) throws(ConfigError) -> ExecCheckSettings {
    let node = try section.required("command")
    let words = try node.strings()
    guard let program = words.first, !program.isEmpty else {
      throw section.error(at: "command", "a program and its arguments, or a line for the shell, is needed")
    }
    guard !words.contains(where: { $0.utf8.contains(0) }) else {
      throw section.error(at: "command", "holds a zero byte, which no argument can")
    }
    // One text is a line for the shell, a list is run as it stands.
    let isLine = (try? node.string()) != nil
    return ExecCheckSettings(
      command: isLine ? ["/bin/sh", "-c", program] : words,
      variables: [
        "NERVE_SERVICE": service, "NERVE_CHECK": name, "NERVE_HOST": host, "NERVE_PORT": String(port),
      ],
      timeout: try timeout(default: CheckReader.execTimeout))
  }

  // MARK: RabbitMQ

  /// Nine round trips, and the password's hash on the way.
  private static let rabbitMQTimeout = Duration.seconds(1)

  private func rabbitMQ(host: String, port: Int) throws(ConfigError) -> RabbitMQCheckSettings {
    let virtualHost = try section.string("vhost", default: "/")
    guard virtualHost.utf8.count <= 255 else { throw section.error(at: "vhost", "has more than 255 bytes") }
    return RabbitMQCheckSettings(
      host: host, port: port, username: try section.string("username", default: "guest"),
      password: try section.string("password", default: "guest"), virtualHost: virtualHost,
      timeout: try timeout(default: CheckReader.rabbitMQTimeout))
  }

  // MARK: Redis and MySQL

  private func redis(host: String, port: Int) throws(ConfigError) -> RedisCheckSettings {
    RedisCheckSettings(
      host: host, port: port, username: try section.optionalString("username"),
      password: try section.optionalString("password"), database: try section.int("db", in: 0...1_000_000, default: 0),
      timeout: try timeout())
  }

  private func mysql(host: String, port: Int) throws(ConfigError) -> MySQLCheckSettings {
    // The plug-ins that the original's users had wrote two of the keys otherwise.
    let (user, name) = (try section.optionalString("user"), try section.optionalString("dbname"))
    return MySQLCheckSettings(
      host: host, port: port, username: try section.string("username", default: user),
      password: try section.string("password", default: ""),
      database: try section.optionalString("database") ?? name, serverKey: try serverKey(),
      timeout: try timeout(default: CheckReader.mysqlTimeout))
  }

  private static let mysqlTimeout = Duration.seconds(1)

  private func serverKey() throws(ConfigError) -> MySQLProbe.ServerKey {
    let key = "server_public_key"
    switch try section.string(key, default: "none") {
    case "none": return .unknown
    case "retrieve": return .retrieved
    case let path:
      do {
        return .known(try Files.read(path, limit: 64 << 10))
      } catch {
        throw section.error(at: key, "\(error); write none, retrieve, or the path of a PEM file")
      }
    }
  }

  // MARK: HTTP

  private func http(host: String, port: Int, timeout: Duration) throws(ConfigError) -> HTTPCheckSettings {
    var uri = try section.string("uri")
    if !uri.hasPrefix("/") { uri = "/" + uri }
    guard !uri.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7f }) else {
      throw section.error(at: "uri", "holds a blank or a control character; encode it with %")
    }
    let range = CheckReader.range
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
        throw section.error(at: "headers", "'\(name)' or its value cannot be sent as a header")
      }
    }
    return pairs.map { HTTPCheckSettings.Header(name: $0.name, value: $0.value) }
  }
}

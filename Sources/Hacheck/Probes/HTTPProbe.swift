internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// Sends a GET and returns status and body. Redirects are not followed and certificates not verified, as upstream.
struct HTTPProbe: Probe {
  private let request: Result<PreparedHTTPRequest, any Error>
  private let timeouts: HTTPTimeouts
  private let limits: HTTPClientLimits
  private let expect: String?

  /// - Parameter expect: a text that nerve looks for in the body.
  init(
    _ request: HTTPRequest, timeouts: HTTPTimeouts = HTTPTimeouts(), limits: HTTPClientLimits = HTTPClientLimits(),
    expect: String? = nil
  ) {
    self.request = Result { try request.prepared() }
    (self.timeouts, self.limits, self.expect) = (timeouts, limits, expect)
  }

  @LoopActor func run(deadline: Duration) async -> ProbeResult {
    do {
      let response = try await HTTPClient.send(request.get(), deadline: deadline, timeouts: timeouts, limits: limits)
      return .answered(status: response.status, body: response.body)
    } catch {
      return ProbeResult(error)
    }
  }

  /// Healthy to nerve are 200...399 with, if one is expected, a certain text in the body.
  func judge(_ result: ProbeResult) -> (passed: Bool, detail: String) {
    guard case .answered(let status, let body) = result else { return (result.isHealthy, result.description) }
    guard (200...399).contains(status) else { return (false, "HTTP \(status)\(HTTPProbe.excerpt(body))") }
    guard let expect, !expect.isEmpty, body[...].firstRange(of: Array(expect.utf8)) == nil else {
      return (true, "HTTP \(status)")
    }
    return (false, "HTTP \(status) without '\(expect)' in its body")
  }

  /// The beginning of a body, on one line: it often says what is wrong.
  private static func excerpt(_ body: [UInt8]) -> String {
    String(decoding: body.prefix(120), as: UTF8.self).firstLine().map { ": \($0)" } ?? ""
  }
}

extension HTTPProbe {
  /// What nerve's http check asks and expects.
  struct Settings: ProbeSettings {
    let host: String
    let port: Int
    /// Path and query; starts with a slash.
    let uri: String
    var usesTLS = false
    var openTimeout = Duration.milliseconds(200)
    /// For the TLS handshake; counts only with ``usesTLS``.
    var handshakeTimeout = Duration.milliseconds(200)
    var readTimeout = Duration.milliseconds(100)
    /// In the order of the configuration.
    var headers: [HTTPHeader] = []
    /// Text that must occur in the body.
    var expect: String?

    /// Connecting, the handshake and the answer together.
    var deadline: Duration { openTimeout + (usesTLS ? handshakeTimeout : .zero) + readTimeout }

    var name: String? { "http-\(host):\(port)\(uri)" }

    @LoopActor func probe(in context: ProbeContext) -> any Probe { httpProbe }

    var httpProbe: HTTPProbe {
      HTTPProbe(
        HTTPRequest(
          endpoint: .tcp(host: host, port: port), tls: usesTLS ? TLSOptions(serverName: host) : nil, target: uri,
          headers: headers),
        timeouts: HTTPTimeouts(open: openTimeout, handshake: usesTLS ? handshakeTimeout : nil, read: readTimeout),
        expect: expect)
    }
  }
}

extension HTTPProbe.Settings {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    (host, port) = (target.host, target.port)
    let timeout = try section.probeTimeout(default: readTimeout)
    let path = try section.string("uri")
    uri = path.hasPrefix("/") ? path : "/" + path
    guard !uri.unicodeScalars.contains(where: { $0.value <= 0x20 || $0.value == 0x7f }) else {
      throw section.error(at: "uri", "holds a blank or a control character; encode it with %")
    }
    usesTLS = try section.bool("ssl", default: usesTLS)
    openTimeout = try section.probeTimeout("open_timeout", default: openTimeout)
    handshakeTimeout = try section.probeTimeout("ssl_timeout", default: handshakeTimeout)
    readTimeout = try section.probeTimeout("read_timeout", default: timeout)
    headers = try HTTPProbe.Settings.headers(section)
    expect = try section.optionalString("expect")
  }

  private static func headers(_ section: ConfigSection) throws(ConfigError) -> [HTTPHeader] {
    let pairs = try section.stringMap("headers")
    for (name, value) in pairs {
      let isToken = !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: ":") }
      guard isToken, !value.unicodeScalars.contains(where: { $0 == "\r" || $0 == "\n" || $0 == "\0" }) else {
        throw section.error(at: "headers", "'\(name)' or its value cannot be sent as a header")
      }
    }
    return pairs.map { HTTPHeader(name: $0.name, value: $0.value) }
  }
}

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
    let place =
      switch (body.starts(with: HTTPProbe.gzipMark), body.count < limits.maxBodyBytes) {
      case (true, _): "its body, which is compressed by gzip and cannot be searched"
      case (false, true): "its body"
      case (false, false): "the first \(limits.maxBodyBytes >> 10) KiB of its body; the rest is not searched"
      }
    return (false, "HTTP \(status) without '\(expect)' in \(place)")
  }

  private static let gzipMark: [UInt8] = [0x1f, 0x8b]

  /// What a body says is wrong, on one line: the title of a page, else the beginning of its text.
  private static func excerpt(_ body: [UInt8]) -> String {
    let page = Array(body.prefix(4096))
    let isPage = String(decoding: page, as: UTF8.self).trimmedBlanks.hasPrefix("<")
    let words = String(decoding: isPage ? title(of: page) ?? withoutTags(page) : page, as: UTF8.self)
    return words.firstLine(limit: 120).map { ": \($0)" } ?? ""
  }

  private static func title(of page: [UInt8]) -> [UInt8]? {
    let lower = page.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
    guard let begin = lower.firstRange(of: Array("<title".utf8)),
      let open = lower[begin.upperBound...].firstIndex(of: UInt8(ascii: ">")),
      let end = lower[open...].firstRange(of: Array("</title".utf8))
    else { return nil }
    return Array(page[(open + 1)..<end.lowerBound])
  }

  private static func withoutTags(_ page: [UInt8]) -> [UInt8] {
    var isTag = false
    return page.filter { byte in
      if byte == UInt8(ascii: "<") { isTag = true }
      defer { if byte == UInt8(ascii: ">") { isTag = false } }
      return !isTag
    }
  }
}

extension HTTPProbe {
  /// What nerve's http check asks and expects.
  struct Settings: ProbeSettings {
    let host: String
    let port: Int
    /// Path and query, which start with a slash, or an `http://` address as for a proxy.
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
    /// Whether one check leaves its connection to the next.
    var reusesConnection = false

    /// Connecting, the handshake and the answer together.
    var deadline: Duration { openTimeout + (usesTLS ? handshakeTimeout : .zero) + readTimeout }

    var name: String? { "http-\(host):\(port)\(uri)" }

    @LoopActor func probe(in context: ProbeContext) -> any Probe { httpProbe }

    var httpProbe: HTTPProbe {
      HTTPProbe(
        HTTPRequest(
          endpoint: .tcp(host: host, port: port), tls: usesTLS ? TLSOptions(serverName: host) : nil, target: uri,
          headers: headers + Settings.usualHeaders.filter { usual in !headers.contains { $0.has(name: usual.name) } },
          connection: reusesConnection ? KeptConnection() : nil),
        timeouts: HTTPTimeouts(open: openTimeout, handshake: usesTLS ? handshakeTimeout : nil, read: readTimeout),
        limits: Settings.limits, expect: expect)
    }

    /// Common rules of web servers refuse requests without the first two.
    private static let usualHeaders = [
      HTTPHeader(name: "User-Agent", value: "nerve/\(Release.version) (health check)"),
      HTTPHeader(name: "Accept", value: "*/*"), HTTPHeader(name: "Accept-Encoding", value: "identity"),
    ]

    /// Upstream has none, and reads a body that ends early.
    private static let limits = HTTPClientLimits(maxHeadBytes: 256 << 10, acceptsShortBody: true)
  }
}

extension HTTPProbe.Settings {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    (host, port) = (target.host, target.port)
    let timeout = try section.probeTimeout(default: readTimeout)
    let path = try section.string("uri")
    let isAbsolute = ["http://", "https://"].contains { path.lowercased().hasPrefix($0) }
    uri = path.hasPrefix("/") || isAbsolute ? path : "/" + path
    guard !uri.unicodeScalars.contains(where: { $0.breaksLine || $0 == " " }) else {
      throw section.error(at: "uri", "holds a blank or a control character; encode it with %")
    }
    usesTLS = try section.bool("ssl", default: usesTLS)
    openTimeout = try section.probeTimeout("open_timeout", default: openTimeout)
    handshakeTimeout = try section.probeTimeout("ssl_timeout", default: handshakeTimeout)
    readTimeout = try section.probeTimeout("read_timeout", default: timeout)
    headers = try HTTPProbe.Settings.headers(section)
    expect = try section.optionalString("expect")
    reusesConnection = try section.bool("reuse_connection", default: reusesConnection)
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

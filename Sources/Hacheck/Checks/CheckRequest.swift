/// What a check speaks to the service it asks.
public enum CheckProtocol: String, Sendable, Hashable, CaseIterable {
  case http, https, tcp, smtp, mysql, redis
  /// No live check: only the operators' marks are looked at.
  case spool
}

/// One health question: the path `/PROTOCOL/SERVICE/PORT/QUERY` with the headers that came along.
public struct CheckRequest: Sendable {
  /// How to ask.
  public var `protocol`: CheckProtocol
  /// The service's name as in the path, for example `web.main`.
  public var service: String
  /// 0...65535; 0 when the port comes from the `X-Haproxy-Server-State` header.
  public var port: Int
  /// What follows `PORT/` as the client wrote it, with a query string if there was one: `status?full=1`.
  public var query: String
  /// `X-Haproxy-Server-State`, `X-Nerve-Check-IP`, `Pragma`, and what `http_headers_to_copy` names.
  public var headers: [(name: String, value: String)]
  /// Who asks, for `/recent` and `/status/count`.
  public var peer: String

  /// A request; see the properties.
  public init(
    protocol: CheckProtocol, service: String, port: Int, query: String = "",
    headers: [(name: String, value: String)] = [], peer: String = "127.0.0.1"
  ) {
    self.protocol = `protocol`
    self.service = service
    self.port = port
    self.query = query
    self.headers = headers
    self.peer = peer
  }

  /// The request that `GET target` would be; nil when the target is no path of a check.
  public init?(
    target: String, headers: [(name: String, value: String)] = [], peer: String = "127.0.0.1"
  ) {
    guard case .check(let check) = RequestTarget(target) else { return nil }
    self.init(
      protocol: check.protocol, service: check.service, port: check.port, query: check.query, headers: headers,
      peer: peer)
  }
}

/// What hacheck answers to one ``CheckRequest``.
public struct CheckAnswer: Sendable, Equatable {
  /// The HTTP status: 200 and below is healthy.
  public var status: Int
  /// The text, or the body the service answered with.
  public var body: [UInt8]
  /// The operator's mark that made this answer, if one did. Such an answer needs no second opinion.
  public var mark: SpoolMark?

  /// An answer; see the properties.
  public init(status: Int, body: [UInt8] = [], mark: SpoolMark? = nil) {
    self.status = status
    self.body = body
    self.mark = mark
  }

  /// Whether the service may be offered to clients.
  public var isHealthy: Bool { status <= 200 }

  /// The body as text, repaired where it is no UTF-8.
  public var text: String { String(decoding: body, as: UTF8.self) }
}

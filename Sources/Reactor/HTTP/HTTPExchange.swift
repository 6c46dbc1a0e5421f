internal import CEvent
internal import Glibc
internal import SmartStack

/// One request to a ``HTTPListener`` and its one answer, now or later.
///
/// When the client has gone or the listener was closed, answering does nothing. An exchange that is let go
/// of without an answer answers 500.
@LoopActor public final class HTTPExchange {
  /// In capitals, for example `GET`.
  public let method: String
  /// Path and query as sent, not decoded.
  public let target: String
  /// The whole body; empty for methods that have none.
  public let body: [UInt8]

  /// All that evhttp has names for; without a mask of its own it would reject some of them, and let nameless ones in.
  static let knownMethods = [
    EVHTTP_REQ_GET, EVHTTP_REQ_POST, EVHTTP_REQ_HEAD, EVHTTP_REQ_PUT, EVHTTP_REQ_DELETE, EVHTTP_REQ_OPTIONS,
    EVHTTP_REQ_TRACE, EVHTTP_REQ_CONNECT, EVHTTP_REQ_PATCH,
  ].reduce(unknownMethod) { $0 | UInt16($1.rawValue) }

  /// evhttp's bit for a method that it has no name for.
  static let unknownMethod = UInt16(1) << 15

  /// evhttp's request until the handler has returned or answered; later ``pending`` has it.
  private var request: OpaquePointer?
  private var pending: PendingRequest?

  /// Whether the connection ends with this answer.
  private let isLast: Bool

  init(_ request: OpaquePointer, isLast: Bool) {
    self.request = request
    self.isLast = isLast
    method = methodName(evhttp_request_get_command(request))
    target = evhttp_request_get_uri(request).map { String(cString: $0) } ?? ""
    let buffer = evhttp_request_get_input_buffer(request)
    let length = evbuffer_get_length(buffer)
    body =
      length == 0
      ? []
      : [UInt8](unsafeUninitializedCapacity: length) { bytes, initialized in
        initialized = max(0, evbuffer_copyout(buffer, bytes.baseAddress, length))
      }
  }

  /// Called by the listener after the handler; from here on the client may vanish at any time.
  /// - Returns: whether the request waits for its answer.
  func handlerReturned(to connections: ConnectionTable) -> Bool {
    guard let request else { return false }
    self.request = nil
    pending = PendingRequest(request, on: connections)
    return true
  }

  // MARK: The request

  /// The first value of a header, whatever the name's case.
  public func header(_ name: String) -> String? {
    if let request = request ?? pending?.request {
      return evhttp_find_header(evhttp_request_get_input_headers(request), name).map { String(cString: $0) }
    }
    return headers(name).first
  }

  /// All values of a header, in order.
  public func headers(_ name: String) -> [String] {
    let all =
      (request ?? pending?.request).map { PendingRequest.headers(of: $0) } ?? pending?.keptHeaders ?? []
    return all.filter { $0.has(name: name) }.map(\.value)
  }

  /// The client's address without port, IPv4 written as IPv4; `unix` for Unix sockets, empty when it is unknown.
  public var peer: String {
    (request ?? pending?.request).flatMap { PendingRequest.peer(of: $0) } ?? pending?.keptPeer ?? ""
  }

  // MARK: The answer

  /// Answers with text; see ``respond(status:reason:headers:body:)``. `Content-Type` is added unless given.
  public func respond(status: Int, reason: String? = nil, headers: [(String, String)] = [], text: String) {
    var text = text
    let addsType = !headers.contains { $0.0.equalsIgnoringASCIICase("Content-Type") }
    let headers = addsType ? headers + [("Content-Type", "text/plain; charset=utf-8")] : headers
    text.withUTF8 { respond(status, reason: reason, headers: headers, bytes: UnsafeRawBufferPointer($0)) }
  }

  /// Answers. Only the first answer counts.
  /// - Parameters:
  ///   - status: 200...999; anything else is sent as 500.
  ///   - reason: nil gives the usual one.
  ///   - headers: `Content-Length`, `Date` and `Connection` are added. Values with line breaks are skipped.
  ///   - body: not sent in answers to HEAD, only its length is.
  public func respond(status: Int, reason: String? = nil, headers: [(String, String)] = [], body: [UInt8]) {
    body.withUnsafeBytes { respond(status, reason: reason, headers: headers, bytes: $0) }
  }

  /// Answers with a page that other answers share.
  public func respond(status: Int, headers: [(String, String)] = [], page: SharedPage) {
    respond(status, reason: nil, headers: headers, length: page.count) { page.add(to: $0) }
  }

  private func respond(
    _ status: Int, reason: String?, headers: [(String, String)], bytes body: UnsafeRawBufferPointer
  ) {
    respond(status, reason: reason, headers: headers, length: body.count) {
      _ = evbuffer_add($0, body.baseAddress, body.count)
    }
  }

  private func respond(
    _ status: Int, reason: String?, headers: [(String, String)], length: Int, write: (OpaquePointer?) -> Void
  ) {
    guard let request = request ?? pending?.takeForAnswer(length: length) else { return }
    self.request = nil
    let fields = evhttp_request_get_output_headers(request)
    for (name, value) in headers { evhttp_add_header(fields, name, value) }
    if isLast { evhttp_add_header(fields, "Connection", "close") }
    if method == "HEAD" {
      evhttp_add_header(fields, "Content-Length", String(length))
    } else if length > 0 {
      write(evhttp_request_get_output_buffer(request))
    }
    let code = (200...999).contains(status) ? Int32(status) : 500
    if let reason, reason.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) {
      evhttp_send_reply(request, code, reason, nil)
    } else {
      evhttp_send_reply(request, code, nil, nil)
    }
  }
}

/// A request whose handler has returned without an answer.
///
/// Two things can end it behind the exchange's back, and evhttp tells both by the connection's close callback:
/// a broken connection (evhttp then leaves the request to us) and `evhttp_free` (it frees the request itself).
@LoopActor private final class PendingRequest {
  private(set) var request: OpaquePointer?
  private let connections: ConnectionTable
  private(set) var keptHeaders: [HTTPHeader] = []
  private(set) var keptPeer: String?

  init(_ request: OpaquePointer, on connections: ConnectionTable) {
    self.request = request
    self.connections = connections
    connections.pendingCount += 1
    let connection = evhttp_request_get_connection(request)
    evhttp_connection_set_closecb(connection, onClose, Unmanaged.passUnretained(self).toOpaque())
  }

  isolated deinit {
    if let request = takeForAnswer() { evhttp_send_reply(request, 500, nil, nil) }
  }

  /// The request, if it can still be answered; the caller answers it.
  func takeForAnswer(length: Int = 0) -> OpaquePointer? {
    guard let request else { return nil }
    if let connection = evhttp_request_get_connection(request) {
      evhttp_connection_set_closecb(connection, nil, nil)
      connections.answered(connection, length: length)
    }
    end()
    return request
  }

  fileprivate func connectionCloses(_ connection: OpaquePointer) {
    connections.closes(connection)
    guard let request else { return }
    keptPeer = PendingRequest.peer(ofConnection: connection)
    // Without a connection the request is ours: answering it just frees it.
    if evhttp_request_get_connection(request) == nil { return }
    keptHeaders = PendingRequest.headers(of: request)
    end()
  }

  private func end() {
    request = nil
    connections.pendingCount -= 1
  }

  static func headers(of request: OpaquePointer) -> [HTTPHeader] {
    var headers: [HTTPHeader] = []
    var next = evhttp_request_get_input_headers(request)?.pointee.tqh_first
    while let field = next {
      headers.append(HTTPHeader(name: String(cString: field.pointee.key), value: String(cString: field.pointee.value)))
      next = field.pointee.next.tqe_next
    }
    return headers
  }

  static func peer(of request: OpaquePointer) -> String? {
    evhttp_request_get_connection(request).flatMap { peer(ofConnection: $0) }
  }

  private static func peer(ofConnection connection: OpaquePointer) -> String? {
    guard let address = evhttp_connection_get_addr(connection) else { return nil }
    let family = Int32(address.pointee.sa_family)
    if family == AF_UNIX { return "unix" }
    if family == AF_INET {
      // evhttp has the text already.
      var text: UnsafeMutablePointer<CChar>?
      var port: UInt16 = 0
      evhttp_connection_get_peer(connection, &text, &port)
      if let text { return String(cString: text) }
    }
    let size = family == AF_INET6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
    return SocketAddress(address, length: size).host
  }
}

private func onClose(_ connection: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  guard let connection else { return }
  nonisolated(unsafe) let loopConnection = connection
  onLoop(context) { (pending: PendingRequest) in pending.connectionCloses(loopConnection) }
}

private func methodName(_ command: evhttp_cmd_type) -> String {
  switch command {
  case EVHTTP_REQ_GET: "GET"
  case EVHTTP_REQ_POST: "POST"
  case EVHTTP_REQ_HEAD: "HEAD"
  case EVHTTP_REQ_PUT: "PUT"
  case EVHTTP_REQ_DELETE: "DELETE"
  case EVHTTP_REQ_OPTIONS: "OPTIONS"
  case EVHTTP_REQ_TRACE: "TRACE"
  case EVHTTP_REQ_CONNECT: "CONNECT"
  case EVHTTP_REQ_PATCH: "PATCH"
  default: "UNKNOWN"
  }
}

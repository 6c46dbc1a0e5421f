internal import Glibc
public import Reactor
public import SmartStack

/// One answer of a ``StatusSocket``.
public struct StatusPage: Sendable {
  let type: String
  let text: String

  /// A text of a media type.
  public init(type: String, text: String) { (self.type, self.text) = (type, text) }

  /// JSON.
  public static func json(_ value: JSONValue, _ style: JSONStyle? = nil) -> StatusPage {
    StatusPage(type: "application/json", text: (style.map { value.text($0) } ?? value.text()) + "\n")
  }
}

/// Where a running agent tells what it does, over HTTP: at a Unix socket for its own `status` command, and at a local
/// port if one is configured. Nothing can be changed through it.
@LoopActor public final class StatusSocket {
  private static let deadline: Duration = .seconds(5)
  private static let answerLimit = 256 << 20
  /// How long questions under way may take when another program takes over.
  private static let lastAnswers: Duration = .seconds(1)

  private let listener: HTTPListener
  /// The listening socket of the port, and what it is bound to.
  private var port: (descriptor: Int32, endpoint: String)?

  /// - Parameter page: what there is at a path, made anew for each question; nil: nothing.
  public init(page: @escaping @LoopActor (_ path: String) -> StatusPage?) {
    listener = HTTPListener { exchange in
      guard exchange.method == "GET" || exchange.method == "HEAD" else {
        return exchange.respond(status: 405, headers: [("Allow", "GET, HEAD")], text: "Only GET is answered here.\n")
      }
      let path = exchange.target.split(separator: "?").first.map(String.init) ?? "/"
      guard let page = page(path) else { return exchange.respond(status: 404, text: "There is nothing here.\n") }
      let headers = [("Content-Type", page.type), ("X-Content-Type-Options", "nosniff")]
      exchange.respond(status: 200, headers: headers, text: page.text)
    }
  }

  /// Listens at a Unix socket; only its file's owner and group may connect. A file that nobody listens at any more is
  /// replaced.
  /// - Throws: `ListenError`.
  public func listen(path: String) throws { try listener.listen(on: .unix(path: path), mode: 0o660) }

  /// Listens at a port.
  /// - Parameter handover: what the program before this one left: its socket is taken over if it is the same port's.
  /// - Throws: `ListenError`.
  public func listen(host: String, port number: Int, _ handover: Handover?) throws {
    let endpoint = Endpoint.tcp(host: host, port: number).description
    if let descriptor = handover?.descriptors[StatusSocket.handoverKey],
      handover?.notes[StatusSocket.handoverKey]?.string == endpoint
    {
      try listener.adopt(descriptor: descriptor)
      port = (descriptor, endpoint)
    } else {
      StatusSocket.discard(handover)
      try listener.listen(on: .tcp(host: host, port: number))
      port = listener.descriptors.last.map { ($0, endpoint) }
    }
  }

  /// Closes what the program before this one left: who connects to a port that nobody serves is to be told so.
  public static func discard(_ handover: Handover?) {
    if let descriptor = handover?.descriptors[handoverKey] { Glibc.close(descriptor) }
  }

  private static let handoverKey = "status"

  /// Leaves the port's socket to the program that takes this one's place: who asks meanwhile waits in its queue.
  public func surrender(to handover: inout Handover) async {
    await listener.retire(within: StatusSocket.lastAnswers)
    guard let port else { return }
    handover.descriptors[StatusSocket.handoverKey] = port.descriptor
    handover.notes[StatusSocket.handoverKey] = .string(port.endpoint)
  }

  /// Stops and removes the socket file.
  public func close() { listener.close() }

  /// Asks the agent that listens at `path`.
  /// - Throws: ``StatusError``.
  public static func ask(path: String) async throws(StatusError) -> JSONValue {
    let response: HTTPResponse
    do {
      response = try await HTTPClient.send(
        HTTPRequest(endpoint: .unix(path: path), target: "/status"), deadline: deadline,
        limits: HTTPClientLimits(maxBodyBytes: answerLimit))
    } catch {
      throw StatusError(path: path, reason: "\(error)")
    }
    guard response.status == 200, let value = JSONValue(response.body) else {
      throw StatusError(path: path, reason: "the answer, HTTP \(response.status), is no JSON")
    }
    return value
  }
}

/// Why an agent could not be asked.
public struct StatusError: Error, Sendable, CustomStringConvertible {
  /// The socket file.
  public let path: String
  /// What went wrong.
  public let reason: String

  /// What it means and what to look at.
  public var description: String {
    "no agent answers at \(path) (\(reason)); does it run, with this state directory, and may you read it?"
  }
}

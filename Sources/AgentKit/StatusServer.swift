internal import Glibc
public import Logging
public import Reactor
public import SmartStack

/// Serves what a running agent reports, over HTTP: at a Unix socket for its own `status` command, and at a local port
/// if one is configured. `/status` is the report as JSON. Nothing can be changed through it.
@LoopActor public final class StatusServer {
  /// A page's media type, and what makes its text.
  public typealias Page = (type: String, text: @LoopActor () -> String)

  private static let deadline: Duration = .seconds(5)
  private static let answerLimit = 256 << 20
  /// How long requests under way may take in an in-place upgrade.
  private static let retireLimit: Duration = .seconds(1)
  private static let stateKey = "status"

  private let logger: Logger
  private let listener: HTTPListener
  /// The listening socket of the port, and the address that it is bound to.
  private var port: (descriptor: Int32, endpoint: String)?

  /// - Parameters:
  ///   - logger: receives what cannot be listened on.
  ///   - hostNames: names of this machine, besides its own, at which browsers are answered.
  ///   - report: makes the report for each request.
  ///   - pages: further pages by path, with their media type; each is made for each request.
  public init(
    logger: Logger, hostNames: [String] = [], report: @escaping @LoopActor () -> JSONValue,
    pages: [String: Page] = [:]
  ) {
    self.logger = logger
    let status: Page = ("application/json", { report().text(JSONStyle(indent: 2)) + "\n" })
    let longPages = PageCache()
    var limits = HTTPServerLimits()
    limits.maxPerAddress = limits.maxConnections * 3 / 4
    listener = HTTPListener(limits: limits, hostNames: hostNames) { exchange in
      guard exchange.method == "GET" || exchange.method == "HEAD" else {
        return exchange.respond(status: 405, headers: [("Allow", "GET, HEAD")], text: "Only GET is answered here.\n")
      }
      let path = exchange.target.split(separator: "?").first.map(String.init) ?? "/"
      guard let page = pages[path] ?? (path == "/status" ? status : nil) else {
        return exchange.respond(status: 404, text: "There is nothing here.\n")
      }
      let headers = [("Content-Type", page.type), ("X-Content-Type-Options", "nosniff")]
      exchange.respond(status: 200, headers: headers, page: longPages.page(path, make: page.text))
    }
  }

  /// Listens at a Unix socket; only its file's owner and group may connect. A file that nobody listens at is replaced.
  /// A failure is logged: the agent runs without.
  public func listen(path: String) {
    do { try listener.listen(on: .unix(path: path), mode: 0o660) } catch {
      logger.warning("status socket not opened", with: [.path: path, .reason: "\(error)"])
    }
  }

  /// Listens at a port; nil: at none. A failure is logged: the agent runs without.
  /// - Parameter inherited: from the program before this one; its socket is adopted if it is bound to the same port, and
  ///   closed otherwise, so that clients are refused.
  public func listen(host: String, port number: Int?, inherited: InPlaceUpgradeState?) {
    let endpoint = number.map { Endpoint.tcp(host: host, port: $0) }
    do {
      if let descriptor = inherited?.descriptors[StatusServer.stateKey] {
        if let endpoint, inherited?.notes[StatusServer.stateKey]?.string == endpoint.description {
          try listener.adopt(descriptor: descriptor)
          port = (descriptor, endpoint.description)
          return
        }
        Glibc.close(descriptor)
      }
      guard let endpoint else { return }
      try listener.listen(on: endpoint)
      port = listener.descriptors.last.map { ($0, endpoint.description) }
    } catch {
      logger.warning("status port not opened", with: [.host: host, .port: number ?? 0, .reason: "\(error)"])
    }
  }

  /// Hands the port's socket over: requests meanwhile wait in its queue.
  public func handOver(to state: inout InPlaceUpgradeState) async {
    await listener.retire(within: StatusServer.retireLimit)
    guard let port else { return }
    state.descriptors[StatusServer.stateKey] = port.descriptor
    state.notes[StatusServer.stateKey] = .string(port.endpoint)
  }

  /// Stops and removes the socket file.
  public func close() { listener.close() }

  /// Requests the report of the agent that listens at `path`.
  /// - Throws: an `OperatorError`: no agent answers.
  public static func report(path: String) async throws(OperatorError) -> JSONValue {
    let response: HTTPResponse
    do {
      response = try await HTTPClient.send(
        HTTPRequest(endpoint: .unix(path: path), target: "/status"), deadline: deadline,
        limits: HTTPClientLimits(maxBodyBytes: answerLimit))
    } catch {
      throw noAnswer(at: path, reason: "\(error)")
    }
    guard response.status == 200, let value = JSONValue(response.body) else {
      throw noAnswer(at: path, reason: "the answer, HTTP \(response.status), is not JSON")
    }
    return value
  }

  private static func noAnswer(at path: String, reason: String) -> OperatorError {
    OperatorError(
      "no agent answers at \(path) (\(reason)); does it run, with this state directory, and may you read it?")
  }
}

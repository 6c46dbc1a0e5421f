internal import Glibc
public import Logging
public import Reactor
public import SmartStack

/// Serves what a running agent reports, over HTTP: at a Unix socket for its own `status` command, and at a local port
/// if one is configured. `/status` is the report as JSON, `/` a page for people, `/metrics` Prometheus' text.
@LoopActor public final class StatusServer {
  private static let deadline: Duration = .seconds(10)
  /// How long a page waits for the other agent's report.
  private static let neighbourDeadline: Duration = .seconds(3)
  /// The socket of an agent in its state directory: found without reading a configuration.
  private static let socketName = "status.sock"
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
  ///   - metrics: makes the text of `/metrics` for each request.
  ///   - page: answers requests for `/`.
  public init(
    logger: Logger, hostNames: [String] = [], report: @escaping @LoopActor () async -> JSONValue,
    metrics: @escaping @LoopActor () async -> String, page: @escaping @LoopActor (HTTPExchange) -> Void
  ) {
    self.logger = logger
    let texts: [String: (type: String, make: @LoopActor () async -> String)] = [
      "/status": (
        "application/json",
        {
          let report = await report()
          // Of 20,000 servers it is 5 MB.
          return await BlockingWork.compute { report.text(JSONStyle(indent: 2)) + "\n" }
        }
      ),
      "/metrics": ("text/plain; version=0.0.4; charset=utf-8", metrics),
    ]
    let longPages = PageCache()
    var limits = HTTPServerLimits()
    limits.maxPerAddress = limits.maxConnections * 3 / 4
    listener = HTTPListener(limits: limits, hostNames: hostNames) { exchange in
      let path = exchange.target.split(separator: "?").first.map(String.init) ?? "/"
      if path == "/" { return page(exchange) }
      guard exchange.method == "GET" || exchange.method == "HEAD" else { return StatusServer.refuse(exchange) }
      guard let text = texts[path] else { return exchange.respond(status: 404, text: "There is nothing here.\n") }
      Task.immediate { @LoopActor in
        let headers = [("Content-Type", text.type), ("X-Content-Type-Options", "nosniff")]
        exchange.respond(status: 200, headers: headers, page: await longPages.page(path, waitingFor: text.make))
      }
    }
  }

  /// Answers with the page of these reports; nothing can be changed through it.
  public static func showPage(
    of reports: @escaping @LoopActor () async -> [JSONValue], to exchange: HTTPExchange
  ) {
    guard exchange.method == "GET" || exchange.method == "HEAD" else { return refuse(exchange) }
    Task.immediate { @LoopActor in
      let page = StatusPage(query: StatusPage.Query(exchange.target), reports: await reports())
      exchange.respond(status: 200, headers: StatusPage.headers, text: page.render())
    }
  }

  private static func refuse(_ exchange: HTTPExchange) {
    exchange.respond(status: 405, headers: [("Allow", "GET, HEAD")], text: "Only GET is answered here.\n")
  }

  /// Listens at `status.sock` of a state directory or, while another agent does, at `status-INSTANCE.sock`. Everybody who
  /// may enter the directory may connect: the other agent of the host, which has an account of its own, shows this one's
  /// report on its page, and nothing can be changed. A file that nobody listens at is replaced. A failure is logged: the
  /// agent runs without.
  public func listen(in directory: StateDirectory, instance: String) {
    guard let usual = directory.path(for: StatusServer.socketName),
      let own = directory.path(for: "status-\(instance).sock")
    else { return }
    do {
      do { try listener.listen(on: .unix(path: usual), mode: 0o666) } catch ListenError.addressInUse {
        try listener.listen(on: .unix(path: own), mode: 0o666)
      }
    } catch {
      logger.warning("status socket not opened", with: [.path: usual, .reason: "\(error)"])
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

  /// Requests the reports of all agents that listen in these state directories.
  /// - Throws: an `OperatorError`: no agent answers.
  public static func reports(in directories: [String]) async throws(OperatorError) -> [JSONValue] {
    var reports: [JSONValue] = []
    var failure: OperatorError?
    for directory in directories {
      let names = ((try? Files.list(directory)) ?? []).filter { $0.hasPrefix("status") && $0.hasSuffix(".sock") }
      // Asked even if it is not there: the failure then says why.
      for name in Set(names + [socketName]).sorted() {
        do throws(OperatorError) { reports.append(try await report(path: "\(directory)/\(name)")) } catch {
          if name == socketName { failure = failure ?? error }
        }
      }
    }
    if reports.isEmpty, let failure { throw failure }
    return reports
  }

  /// Requests the report of another kind of agent on this host: at its usual place, or in a directory of its name beside
  /// this agent's own.
  /// - Returns: nil if none answers within 3 seconds.
  public static func neighbour(_ agent: String, of directory: StateDirectory) async -> JSONValue? {
    for path in ["\(Files.parent(of: directory.path))/\(agent)", "/run/\(agent)"] {
      let report = try? await report(path: "\(path)/\(socketName)", deadline: neighbourDeadline)
      if report?["agent"]?.string == agent { return report }
    }
    return nil
  }

  private static func report(
    path: String, deadline: Duration = StatusServer.deadline
  ) async throws(OperatorError) -> JSONValue {
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

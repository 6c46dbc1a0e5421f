internal import Glibc
internal import Logging
internal import Reactor
internal import SmartStack

/// Answers an operator's questions: on a Unix socket in the state directory, and on a local port if one is configured.
///
/// `/` is a page, `/status` the same as JSON, `/metrics` Prometheus' text. It only reads: nothing can be changed here.
@LoopActor final class StatusServer {
  private let metrics: Metrics
  private let report: @LoopActor () -> JSONValue
  private var listener: HTTPListener?

  /// - Parameter report: what is true at the moment of a request.
  init(metrics: Metrics, report: @escaping @LoopActor () -> JSONValue) {
    self.metrics = metrics
    self.report = report
  }

  /// Listens; where it cannot, the log says so and the agent goes on without.
  func listen(on endpoints: [Endpoint], logger: Logger) {
    let listener = HTTPListener { [weak self] exchange in self?.answer(exchange) }
    self.listener = listener
    for endpoint in endpoints {
      do {
        try listener.listen(on: endpoint)
        // Who may ask is who may read the agent's state: its user and its group.
        if case .unix(let path) = endpoint { chmod(path, 0o660) }
      } catch {
        logger.warning("status is not served", [.host: "\(endpoint)", .reason: "\(error)"])
      }
    }
  }

  /// Hangs up and removes the socket's file.
  func close() {
    listener?.close()
    listener = nil
  }

  private func answer(_ exchange: HTTPExchange) {
    guard exchange.method == "GET" || exchange.method == "HEAD" else {
      return exchange.respond(status: 405, headers: [("Allow", "GET, HEAD")], text: "Only GET is answered here.\n")
    }
    switch exchange.target.split(separator: "?").first {
    case "/status":
      let text = report().text(JSONStyle(indent: 2)) + "\n"
      exchange.respond(status: 200, headers: [("Content-Type", "application/json")], text: text)
    case "/metrics":
      exchange.respond(
        status: 200, headers: [("Content-Type", "text/plain; version=0.0.4; charset=utf-8")], text: metrics.render())
    case "/":
      exchange.respond(
        status: 200,
        headers: [("Content-Type", "text/html; charset=utf-8"), ("X-Content-Type-Options", "nosniff")],
        text: StatusServer.page(StatusText.lines(report())))
    default: exchange.respond(status: 404, text: "There is /, /status and /metrics.\n")
    }
  }

  /// Names come from the registry: anybody's.
  private static func page(_ lines: [String]) -> String {
    let text = lines.map(\.htmlEscaped).joined(separator: "\n")
    return "<!doctype html><title>synapse</title><p><a href=\"/status\">JSON</a> <a href=\"/metrics\">metrics</a></p>"
      + "<pre>\n\(text)\n</pre>\n"
  }
}

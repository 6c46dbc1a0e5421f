internal import AgentKit
internal import Logging
internal import Reactor
internal import SmartStack

/// What an operator sees of synapse: `/` is a page, `/status` the same as JSON, `/metrics` Prometheus' text.
@LoopActor struct StatusServer {
  private let socket: StatusSocket

  /// - Parameter report: what is true at the moment of a request.
  init(metrics: Metrics, report: @escaping @LoopActor () -> JSONValue) {
    socket = StatusSocket { path in
      switch path {
      case "/status": .json(report(), JSONStyle(indent: 2))
      case "/metrics": StatusPage(type: "text/plain; version=0.0.4; charset=utf-8", text: metrics.render())
      case "/": StatusPage(type: "text/html; charset=utf-8", text: StatusServer.page(StatusText.lines(report())))
      default: nil
      }
    }
  }

  /// Listens in the state directory, and at the configured port; where it cannot, the log says so and the agent goes on
  /// without.
  func listen(path: String?, _ configuration: SynapseConfiguration, _ handover: Handover?, logger: Logger) {
    do { if let path { try socket.listen(path: path) } } catch {
      logger.warning("status is not served", [.path: path ?? "", .reason: "\(error)"])
    }
    guard let port = configuration.statusPort else { return StatusSocket.discard(handover) }
    do { try socket.listen(host: configuration.statusAddress, port: port, handover) } catch {
      logger.warning("status is not served", [.host: configuration.statusAddress, .port: port, .reason: "\(error)"])
    }
  }

  /// Leaves the port to the next program.
  func surrender(to handover: inout Handover) async { await socket.surrender(to: &handover) }

  /// Hangs up and removes the socket's file.
  func close() { socket.close() }

  /// Names come from the registry: anybody's.
  private static func page(_ lines: [String]) -> String {
    let text = lines.map(\.htmlEscaped).joined(separator: "\n")
    return "<!doctype html><title>synapse</title><p><a href=\"/status\">JSON</a> <a href=\"/metrics\">metrics</a></p>"
      + "<pre>\n\(text)\n</pre>\n"
  }
}

/// HAProxy's lines of one namespace that all its watchers share.
extension SmartStackNamespace {
  private var isHTTP: Bool { mode ?? "http" == "http" }

  /// What stands on each server line.
  func serverOptions(_ options: ToolOptions) -> String {
    "check port \(options.hacheckPort) observe \(isHTTP ? options.observedLayer ?? "layer7" : "layer4") maxconn \(options.maximumPerServer) "
      + "maxqueue \(options.maximumQueuePerServer)"
  }

  /// What clients connect to, without sockets, plugins and the choice of a backend.
  /// - Parameter chaos: what this host makes of the service.
  func frontendLines(_ options: ToolOptions, chaos: Chaos) -> [String] {
    var lines: [String] = []
    if let timeout = timeouts.client { lines.append("timeout client \(timeout)ms") }
    if isHTTP {
      lines += options.capturedHeaders.map { "capture request header \($0)" }
      lines.append("option httplog")
    }
    if isTCP { lines += ["no option accept-invalid-http-request", "option tcplog", "mode tcp"] }
    switch chaos {
    case .drop: lines.append("tcp-request content reject")
    case .delay(let time): lines += ["tcp-request inspect-delay \(time)", "tcp-request content accept if WAIT_END"]
    case .none, .error503: break
    }
    return lines
  }

  /// - Parameter endpoint: whose server time-out counts; nil for the service's own.
  func backendLines(_ endpoint: Endpoint?) -> [String] {
    var lines: [String] = []
    if let balance { lines.append("balance \(balance)") }
    if keepsAlive, isHTTP { lines += ["no option httpclose", "option http-keep-alive"] }
    if isTCP { lines.append("mode tcp") }
    lines += headers.map {
      let name = ProxyText.word($0.name)
      // HAProxy refuses to set an empty value.
      if $0.value.isEmpty { return "http-request del-header \(name)" }
      return "http-request set-header \(name) \(ProxyText.quotedFormat($0.value))"
    }
    lines += healthCheck
    if let retries { lines.append("retries \(retries)") }
    if let timeout = timeouts.connect { lines.append("timeout connect \(timeout)ms") }
    if let timeout = endpoint?.serverTimeout ?? timeouts.server { lines.append("timeout server \(timeout)ms") }
    return lines
  }

  /// HAProxy asks the hacheck of the server's host. Port 0 stands for the server's, which hacheck reads in the header
  /// that `send-state` adds.
  private var healthCheck: [String] {
    let uri = "/\(mode ?? "http")/\(name)/0/\(health.uri.drop { $0 == "/" })"
    guard !health.headers.isEmpty else { return ["option httpchk GET \(uri)", "http-check send-state"] }
    let headers = health.headers.map {
      // An expression that gives an empty text: HAProxy refuses the text itself.
      let value = $0.value.isEmpty ? #""%[str()]""# : ProxyText.quotedFormat($0.value)
      return "hdr \(ProxyText.word($0.name)) \(value)"
    }
    return [
      "option httpchk",
      // The URI is no log-format here, the headers are.
      "http-check send meth GET uri \(ProxyText.quoted(uri)) ver HTTP/1.1 " + headers.joined(separator: " "),
      "http-check send-state",
    ]
  }
}

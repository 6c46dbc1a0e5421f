public import Reactor
internal import SmartStack

extension StatsPage {
  /// A page of thousands of services with dozens of servers each stays below it.
  private static let bodyLimit = 256 << 20

  /// Asks a HAProxy for the servers of its statistics, at its stats socket.
  @LoopActor static func ask(_ client: HAProxyRuntimeClient) async throws(HAProxyRuntimeError) -> StatsPage {
    let question = SocketCommand.showServerStatistics
    let text = try await client.run(question)
    // Off the loop: 10,000 servers are megabytes.
    guard let page = await BlockingWork.compute({ StatsPage(Array(text.utf8)) }) else {
      throw .malformed(command: question.text, reason: "it is not a table of servers")
    }
    return page
  }

  /// Asks a HAProxy for its statistics page over HTTP, as its `stats uri` serves it.
  /// - Parameters:
  ///   - endpoint: where the page is served.
  ///   - scope: only proxies whose names contain it; nil: all.
  @LoopActor public static func ask(
    _ endpoint: Endpoint, scope: String? = nil, deadline: Duration
  ) async throws(HAProxyRuntimeError) -> StatsPage {
    let target = "/;csv;norefresh;scope=\(scope ?? "")"
    let response: HTTPResponse
    do {
      response = try await HTTPClient.send(
        HTTPRequest(endpoint: endpoint, target: target), deadline: deadline,
        limits: HTTPClientLimits(maxBodyBytes: bodyLimit))
    } catch {
      throw HAProxyRuntimeError.noStatsPage(endpoint, reason: "\(error)")
    }
    guard response.status == 200 else {
      throw HAProxyRuntimeError.noStatsPage(endpoint, reason: "it answers HTTP \(response.status)")
    }
    guard let page = StatsPage(response.body) else {
      let start = String(decoding: response.body.prefix(40), as: UTF8.self)
      throw HAProxyRuntimeError.noStatsPage(
        endpoint, reason: "its answer is not a stats page: \(JSONText.quoted(start))")
    }
    return page
  }
}

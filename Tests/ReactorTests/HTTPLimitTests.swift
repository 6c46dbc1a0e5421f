import Glibc
import Reactor
import TestSupport
import Testing

/// Clients that want more of an ``HTTPListener`` than their share.
@Suite(.timeLimit(.minutes(3 * patience))) struct HTTPLimitTests {
  @LoopActor private func serve(
    _ limits: HTTPServerLimits,
    _ handler: @escaping @LoopActor (HTTPExchange) -> Void = {
      $0.respond(status: 200, text: "ok")
    }
  ) throws -> (listener: HTTPListener, endpoint: Endpoint) {
    let listener = HTTPListener(limits: limits, handler: handler)
    return (listener, try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)))
  }

  @LoopActor private func open(_ endpoint: Endpoint, _ text: String = "") async throws -> ByteStream {
    let stream = try await ByteStream.connect(to: endpoint, deadline: .seconds(60))
    if !text.isEmpty { try stream.write(text) }
    return stream
  }

  @Test @LoopActor func manyAskersShareAPage() {
    let pages = PageCache()
    var made = 0
    for _ in 0..<1000 {
      _ = pages.page("figures") {
        made += 1
        return "short"
      }
    }
    #expect(made < 1000)
  }

  /// Slow clients keep a byte coming, so that no idle time-out ends them.
  @Test(
    "a request has its time as a whole",
    arguments: ["GET / HTTP/1.1\r\nX: ", "GE", "POST / HTTP/1.1\r\nContent-Length: 60000\r\n\r\n"])
  @LoopActor func aRequestHasItsTimeAsAWhole(start: String) async throws {
    let (listener, endpoint) = try serve(HTTPServerLimits { $0.requestTimeout = .milliseconds(200) })
    defer { listener.close() }
    let slow = try await open(endpoint, start)
    let dripping = Ticker(every: .milliseconds(10)) { _ in try? slow.write("x") }
    defer { dripping.cancel() }
    #expect(try await slow.readLine(limit: 100) == "HTTP/1.1 408 Request Timeout")
  }

  @Test @LoopActor func waitingForAnAnswerDoesNotCountAsRequestTime() async throws {
    var kept: [HTTPExchange] = []
    let limits = HTTPServerLimits { $0.requestTimeout = .milliseconds(100) }
    let (listener, endpoint) = try serve(limits) { kept.append($0) }
    defer { listener.close() }
    let stream = try await open(endpoint, "GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\nX: ")
    try await eventually("the request is there") { kept.count == 1 }
    // Far longer than the limit: others of its age are cut by now.
    let other = try await open(endpoint, "GE")
    #expect(try await other.readLine(limit: 100) == "HTTP/1.1 408 Request Timeout")
    kept.removeFirst().respond(status: 200, text: "late")
    #expect(try await stream.readLine(limit: 100) == "HTTP/1.1 200 OK")
  }

  /// 40 connections that say nothing or half a request fill a server that takes 40; others get through all the same.
  @Test("quiet connections make room", arguments: ["", "GET / HTTP/1.1\r\nX: ", "GET / HTTP/1.1\r\n\r\n"])
  @LoopActor func quietConnectionsMakeRoom(start: String) async throws {
    let (listener, endpoint) = try serve(
      HTTPServerLimits {
        $0.maxConnections = 40
        $0.idleTimeout = .seconds(3600)
      })
    defer { listener.close() }
    var hoarded: [ByteStream] = []
    for _ in 0..<40 { hoarded.append(try await open(endpoint, start)) }
    for _ in 0..<5 {
      let request = HTTPRequest(endpoint: endpoint, target: "/")
      #expect(try await HTTPClient.send(request, deadline: .seconds(60)).status == 200)
      hoarded.append(try await open(endpoint, start))
    }
  }

  @Test @LoopActor func connectionsWithAnAnswerUnderWayStay() async throws {
    var kept: [HTTPExchange] = []
    let (listener, endpoint) = try serve(HTTPServerLimits { $0.maxConnections = 4 }) { exchange in
      if exchange.target == "/wait" { kept.append(exchange) } else { exchange.respond(status: 200, text: "ok") }
    }
    defer { listener.close() }
    let waiting = try await open(endpoint, "GET /wait HTTP/1.1\r\n\r\n")
    try await eventually("the request is there") { kept.count == 1 }
    var quiet: [ByteStream] = []
    for _ in 0..<12 {
      let stream = try await open(endpoint, "GET / HTTP/1.1\r\n\r\n")
      #expect(try await stream.readLine(limit: 100) == "HTTP/1.1 200 OK")
      quiet.append(stream)
    }
    kept.first?.respond(status: 200, text: "at last")
    #expect(try await waiting.readLine(limit: 100) == "HTTP/1.1 200 OK")
  }

  @Test @LoopActor func aChainOfRequestsDoesNotKeepOthersWaiting() async throws {
    var chained = 0
    let (listener, endpoint) = try serve(HTTPServerLimits()) { exchange in
      if exchange.target == "/chain" { chained += 1 }
      exchange.respond(status: 200, text: "ok")
    }
    defer { listener.close() }
    let greedy = try await open(endpoint)
    let count = 2000
    let text = String(repeating: "GET /chain HTTP/1.1\r\n\r\n", count: count)
    let sending = Task { @LoopActor in
      try greedy.write(text)
      return try await greedy.readToEnd(limit: 8 << 20)
    }
    try await eventually("the chain is being answered") { chained > 0 }
    let request = HTTPRequest(endpoint: endpoint, target: "/other")
    #expect(try await HTTPClient.send(request, deadline: .seconds(60)).status == 200)
    #expect(chained < count)
    try await eventually("the chain is answered to its end") { chained == count }
    greedy.close()
    _ = try? await sending.value
  }

  @Test @LoopActor func aSocketFileHasItsMode() throws {
    let directory = TemporaryDirectory()
    for mode: UInt32 in [0o600, 0o666] {
      let path = "\(directory.path)/\(mode).sock"
      let listener = HTTPListener { $0.respond(status: 200, text: "ok") }
      defer { listener.close() }
      try listener.listen(on: .unix(path: path), mode: mode)
      var status = stat()
      #expect(stat(path, &status) == 0)
      #expect(status.st_mode & 0o777 == mode)
    }
  }
}

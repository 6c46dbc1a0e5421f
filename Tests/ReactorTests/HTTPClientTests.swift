import Glibc
import Reactor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2 * patience))) struct HTTPClientTests {
  /// Sends `answer` once the request's head is there, then waits for the client to close.
  private func server(_ answer: String) -> LoopbackServer {
    LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send(answer)
      connection.waitForClose()
    }
  }

  private func request(_ server: LoopbackServer, target: String = "/") -> HTTPRequest {
    HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: server.port), target: target)
  }

  @Test @LoopActor func aRequestIsSentByteForByte() async throws {
    let server = LoopbackServer { connection in
      let text = connection.receive(until: "end")
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(text.utf8.count)\r\nX-A: b\r\n\r\n\(text)")
      connection.waitForClose()
    }
    var request = request(server, target: "/a?b=c")
    request.headers = [HTTPHeader(name: "X", value: "1")]
    request.body = Array("the end".utf8)
    let response = try await HTTPClient.send(request, deadline: .seconds(20))
    #expect(response.status == 200)
    #expect(response.header("x-a") == "b")
    #expect(
      String(decoding: response.body, as: UTF8.self)
        == "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nConnection: close\r\nX: 1\r\n"
        + "Content-Length: 7\r\n\r\nthe end")
    request.headers = [HTTPHeader(name: "host", value: "web"), HTTPHeader(name: "connection", value: "x")]
    request.method = "POST"
    let other = try await HTTPClient.send(request, deadline: .seconds(20))
    #expect(
      String(decoding: other.body, as: UTF8.self)
        == "POST /a?b=c HTTP/1.1\r\nhost: web\r\nconnection: x\r\nContent-Length: 7\r\n\r\nthe end")
  }

  @Test(
    "refuses to send",
    arguments: [
      ("GET ", "/", "A", "b"), ("GET", "", "A", "b"), ("GET", "/a b", "A", "b"), ("GET", "/a\r\nX: y", "A", "b"),
      ("GET", "/", "A:", "b"), ("GET", "/", "", "b"), ("GET", "/", "A", "b\r\nC: d"), ("GET", "/", "A", "b\0"),
    ])
  @LoopActor func aRequestThatWouldForgeLinesIsNotSent(method: String, target: String, name: String, value: String)
    async throws
  {
    let request = HTTPRequest(
      method: method, endpoint: .tcp(host: "127.0.0.1", port: 1), target: target,
      headers: [HTTPHeader(name: name, value: value)])
    do {
      _ = try await HTTPClient.send(request, deadline: .seconds(20))
      Issue.record("sent")
    } catch let error as HTTPClientError {
      guard case .unsendable = error else { throw error }
    }
  }

  @Test @LoopActor func anAnswerBeforeTheRequestIsReadCounts() async throws {
    let server = LoopbackServer { connection in
      connection.send("HTTP/1.0 503\r\n\r\nbusy")
    }
    var request = request(server)
    request.body = [UInt8](repeating: 0, count: 100)
    // The server closes with the request unread; the kernel may turn that into a reset.
    do {
      let response = try await HTTPClient.send(request, deadline: .seconds(20))
      #expect(response.status == 503)
    } catch let error as StreamError {
      #expect(error == .failed(request.endpoint, reason: "Connection reset by peer"))
    }
  }

  @Test @LoopActor func failuresAreErrorsOfTheirKind() async throws {
    let limits = HTTPClientLimits(maxHeadBytes: 100, maxBodyBytes: 10)
    let long = server("HTTP/1.1 200 OK\r\n" + String(repeating: "A: b\r\n", count: 100))
    await #expect(throws: StreamError.tooLong(request(long).endpoint, limit: 100)) {
      try await HTTPClient.send(request(long), deadline: .seconds(20), limits: limits)
    }
    let short = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")
    }
    await #expect(throws: StreamError.closed(request(short).endpoint)) {
      try await HTTPClient.send(request(short), deadline: .seconds(20))
    }
    let foreign = server("220 mail.test ESMTP\r\n")
    await #expect(throws: HTTPClientError.self) {
      try await HTTPClient.send(request(foreign), deadline: .seconds(20))
    }
  }

  @Test @LoopActor func aLongBodyIsCutAtOnce() async throws {
    let server = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send("HTTP/1.1 200 OK\r\n\r\n")
      while connection.send("0123456789") {}
    }
    let response = try await HTTPClient.send(
      request(server), deadline: .seconds(30), limits: HTTPClientLimits(maxBodyBytes: 100_000))
    #expect(response.isTruncated)
    #expect(response.body.count == 100_000)
  }

  @Test("slow servers meet the deadline", arguments: ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n"])
  @LoopActor func slowServersMeetTheDeadline(start: String) async throws {
    let server = LoopbackServer { connection in
      connection.send(start)
      while connection.send(start.hasSuffix("\r\n\r\n") ? "x" : start.isEmpty ? "" : "X-") {
        if start.isEmpty { connection.waitForClose() }
        poll(nil, 0, 5)
      }
    }
    await #expect(throws: StreamError.timedOut(request(server).endpoint, after: .milliseconds(60))) {
      try await HTTPClient.send(request(server), deadline: .milliseconds(60))
    }
  }

  @Test @LoopActor func manyRequestsAtOnceAllGetTheirAnswers() async throws {
    let listener = HTTPListener { $0.respond(status: 200, text: $0.target) }
    let endpoint = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0))
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for index in 0..<300 {
        group.addTask {
          let request = HTTPRequest(endpoint: endpoint, target: "/\(index)")
          return try await HTTPClient.send(request, deadline: .seconds(60)).body == Array("/\(index)".utf8)
        }
      }
      for try await isRight in group { #expect(isRight) }
    }
  }
}

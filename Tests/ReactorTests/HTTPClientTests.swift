import Reactor
import TestSupport
import Testing

@Suite struct HTTPClientTests {
  @Test @LoopActor func readsAnAnswerOfKnownLength() async throws {
    let server = LoopbackServer { connection in
      let head = connection.receive(until: "\r\n\r\n")
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(head.utf8.count)\r\nX-A: b\r\n\r\n\(head)")
      connection.waitForClose()
    }
    let request = HTTPRequest(
      endpoint: .tcp(host: "127.0.0.1", port: server.port), target: "/a?b=c",
      headers: [HTTPHeader(name: "X", value: "1")])
    let response = try await HTTPClient.send(request, deadline: .seconds(20))
    #expect(response.status == 200)
    #expect(response.header("x-a") == "b")
    let head = "GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1:\(server.port)\r\nConnection: close\r\nX: 1\r\n\r\n"
    #expect(String(decoding: response.body, as: UTF8.self) == head)
  }
}

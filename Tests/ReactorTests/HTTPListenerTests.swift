import Reactor
import TestSupport
import Testing

@Suite struct HTTPListenerTests {
  static let anyPort = Endpoint.tcp(host: "127.0.0.1", port: 0)

  @Test @LoopActor func handsTheRequestOverAsSent() async throws {
    var seen: (method: String, target: String, body: String, header: String?, all: [String], peer: String)?
    let listener = HTTPListener { exchange in
      let body = String(decoding: exchange.body, as: UTF8.self)
      seen = (
        exchange.method, exchange.target, body, exchange.header("x-one"), exchange.headers("X-Two"), exchange.peer
      )
      exchange.respond(status: 201, reason: "Made", headers: [("X-Three", "3")], body: Array("yes".utf8))
    }
    let endpoint = try listener.listen(on: Self.anyPort)
    let headers = [("X-One", "1"), ("X-Two", "a"), ("x-two", "b")].map { HTTPHeader(name: $0.0, value: $0.1) }
    let request = HTTPRequest(
      method: "POST", endpoint: endpoint, target: "/a%20b/../c?q=%2F", headers: headers, body: Array("in".utf8))
    let response = try await HTTPClient.send(request, deadline: .seconds(20))
    #expect(seen?.method == "POST")
    #expect(seen?.target == "/a%20b/../c?q=%2F")
    #expect(seen?.body == "in")
    #expect(seen?.header == "1")
    #expect(seen?.all == ["a", "b"])
    #expect(seen?.peer == "127.0.0.1")
    #expect(response.status == 201)
    #expect(response.reason == "Made")
    #expect(response.header("X-Three") == "3")
    #expect(response.header("Content-Length") == "3")
    #expect(response.body == Array("yes".utf8))
  }

  @Test @LoopActor func answersLaterAndAnswers500WhenForgotten() async throws {
    var kept: [HTTPExchange] = []
    let listener = HTTPListener { kept.append($0) }
    let endpoint = try listener.listen(on: Self.anyPort)
    let answered = Task {
      try await HTTPClient.send(HTTPRequest(endpoint: endpoint, target: "/a"), deadline: .seconds(20))
    }
    try await eventually("the request arrives") { kept.count == 1 }
    kept.first?.respond(status: 200, text: "late")
    #expect(try await answered.value.body == Array("late".utf8))
    kept = []
    let forgotten = Task {
      try await HTTPClient.send(HTTPRequest(endpoint: endpoint, target: "/b"), deadline: .seconds(20))
    }
    try await eventually("the request arrives") { kept.count == 1 }
    kept = []
    #expect(try await forgotten.value.status == 500)
  }
}

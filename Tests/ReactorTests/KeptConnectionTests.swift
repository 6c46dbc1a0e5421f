import Glibc
import SmartStack
import TestSupport
import Testing

@testable import Reactor

/// Requests that leave their connection to the next one.
@Suite(.timeLimit(.minutes(2 * patience))) @LoopActor struct KeptConnectionTests {
  private nonisolated static let good = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

  /// What a server does with one request.
  enum Reply: Sendable {
    case answer(String)
    case end
    case reset
    case silence
  }

  /// A server that has replies for the requests of its first connection, and good answers for all others.
  private final class Server: Sendable {
    private let counts: Locked<(connections: Int, heads: [String])>
    private let server: LoopbackServer

    init(_ replies: [Reply]) {
      let counts = Locked((connections: 0, heads: [String]()))
      self.counts = counts
      server = LoopbackServer { connection in
        var rest = counts.withLock {
          $0.connections += 1
          return $0.connections == 1 ? replies[...] : []
        }
        while true {
          let head = connection.receive(until: "\r\n\r\n")
          if head.isEmpty { return }
          counts.withLock { $0.heads.append(head) }
          switch rest.popFirst() ?? .answer(KeptConnectionTests.good) {
          case .answer(let text): connection.send(text)
          case .end: return
          case .reset: return connection.resetOnClose()
          case .silence: return connection.waitForClose()
          }
        }
      }
    }

    var endpoint: Endpoint { .tcp(host: "127.0.0.1", port: server.port) }
    var connections: Int { counts.withLock { $0.connections } }
    var heads: [String] { counts.withLock { $0.heads } }
  }

  private func status(
    of server: Server, over connection: KeptConnection, deadline: Duration = .seconds(30),
    limits: HTTPClientLimits = HTTPClientLimits()
  ) async throws -> Int {
    let request = HTTPRequest(endpoint: server.endpoint, target: "/", connection: connection)
    return try await HTTPClient.send(request, deadline: deadline, limits: limits).status
  }

  @Test(arguments: [
    good, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
  ]) func oneConnectionCarriesManyRequests(_ answer: String) async throws {
    let (server, connection) = (Server(Array(repeating: .answer(answer), count: 3)), KeptConnection())
    for _ in 0..<3 { _ = try await status(of: server, over: connection) }
    #expect(server.connections == 1 && server.heads.count == 3)
    #expect(!server.heads.joined().contains("Connection"))
    #expect(connection.isUsable)
  }

  @Test func aConnectionThatWasClosedMeanwhileIsReplaced() async throws {
    let count = Locked(0)
    let server = LoopbackServer { connection in
      count.withLock { $0 += 1 }
      connection.receive(until: "\r\n\r\n")
      connection.send(KeptConnectionTests.good)
    }
    let connection = KeptConnection()
    let request = HTTPRequest(
      endpoint: .tcp(host: "127.0.0.1", port: server.port), target: "/", connection: connection)
    for number in 1...2 {
      #expect(try await HTTPClient.send(request, deadline: .seconds(30)).status == 200)
      try await eventually("the end is noticed") { !connection.isUsable }
      #expect(count.withLock { $0 } == number)
    }
  }

  @Test("a connection that ends as the request comes", arguments: [Reply.end, .reset])
  func aConnectionThatEndsAsTheRequestComesIsNoFailure(_ end: Reply) async throws {
    let (server, connection) = (Server([.answer(Self.good), end]), KeptConnection())
    for _ in 0..<3 { #expect(try await status(of: server, over: connection) == 200) }
    #expect(server.connections == 2 && server.heads.count == 4)
  }

  /// A first connection that ends without an answer is a failure, as ever.
  @Test func onlyAKeptConnectionIsTriedAgain() async throws {
    let (server, connection) = (Server([.end]), KeptConnection())
    await #expect(throws: StreamError.closed(server.endpoint)) { try await status(of: server, over: connection) }
    #expect(server.heads.count == 1)
  }

  /// So is an answer that breaks off, on whichever connection.
  @Test func whatHasBegunIsNotAskedAgain() async throws {
    let cut = LoopbackServer { connection in
      for answer in [KeptConnectionTests.good, "HTTP/1.1 200 OK\r\nContent-Le"] {
        connection.receive(until: "\r\n\r\n")
        connection.send(answer)
      }
    }
    let connection = KeptConnection()
    let request = HTTPRequest(
      endpoint: .tcp(host: "127.0.0.1", port: cut.port), target: "/", connection: connection)
    #expect(try await HTTPClient.send(request, deadline: .seconds(30)).status == 200)
    await #expect(throws: StreamError.closed(request.endpoint)) {
      try await HTTPClient.send(request, deadline: .seconds(30))
    }
  }

  @Test func aTimeOutDropsTheConnection() async throws {
    let (server, connection) = (Server([.answer(Self.good), .silence]), KeptConnection())
    #expect(try await status(of: server, over: connection) == 200)
    await #expect(throws: StreamError.timedOut(server.endpoint, after: .milliseconds(50))) {
      try await status(of: server, over: connection, deadline: .milliseconds(50))
    }
    #expect(!connection.isUsable)
    #expect(try await status(of: server, over: connection) == 200)
    #expect(server.connections == 2)
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\nConnection: Foo, Close\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200",
    "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  ]) func whatCannotBeUsedAgainIsNotKept(_ answer: String) async throws {
    let (server, connection) = (Server([.answer(answer)]), KeptConnection())
    _ = try await status(of: server, over: connection, limits: HTTPClientLimits(maxBodyBytes: 4))
    #expect(!connection.isUsable)
    #expect(try await status(of: server, over: connection) == 200)
    #expect(server.connections == 2)
  }

  @Test func anAnswerThatTheConnectionEndsIsNotKept() async throws {
    let server = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send("HTTP/1.1 200 OK\r\n\r\nok")
    }
    let connection = KeptConnection()
    let request = HTTPRequest(
      endpoint: .tcp(host: "127.0.0.1", port: server.port), target: "/", connection: connection)
    for _ in 0..<2 {
      #expect(try await HTTPClient.send(request, deadline: .seconds(30)).body == Array("ok".utf8))
      #expect(!connection.isUsable)
    }
  }
}

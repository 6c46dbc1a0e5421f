import Glibc
import Reactor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2 * patience))) struct HTTPListenerTests {
  static let anyPort = Endpoint.tcp(host: "127.0.0.1", port: 0)

  @LoopActor private func open(_ endpoint: Endpoint) async throws -> ByteStream {
    try await ByteStream.connect(to: endpoint, deadline: .seconds(30))
  }

  /// One answer's status line, after sending `text`.
  @LoopActor private func status(_ text: String, to endpoint: Endpoint) async throws -> String {
    let stream = try await open(endpoint)
    try stream.write(text)
    return try await stream.readLine(limit: 1000)
  }

  /// Status line, headers without Date, and body of an answer with a known length.
  @LoopActor private func answer(from stream: ByteStream, hasBody: Bool = true) async throws -> [String] {
    var lines: [String] = []
    var length = 0
    while true {
      let line = try await stream.readLine(limit: 1000)
      if line.isEmpty { break }
      if line.hasPrefix("Content-Length: ") { length = Int(line.dropFirst(16)) ?? 0 }
      if !line.hasPrefix("Date: ") { lines.append(line) }
    }
    if hasBody { lines.append(String(decoding: try await stream.read(exactly: length), as: UTF8.self)) }
    return lines
  }

  @Test @LoopActor func theHandlerGetsTheRequestAsSent() async throws {
    var seen: [String?] = []
    let listener = HTTPListener { exchange in
      let body = String(decoding: exchange.body, as: UTF8.self)
      seen = [exchange.method, exchange.target, body, exchange.header("x-one"), exchange.header("none"), exchange.peer]
      seen += exchange.headers("X-Two")
      exchange.respond(status: 201, reason: "Made", headers: [("X-Three", "3")], body: Array("yes".utf8))
    }
    let endpoint = try listener.listen(on: Self.anyPort)
    let headers = [("X-One", "1"), ("X-Two", "a"), ("x-two", "b")].map { HTTPHeader(name: $0.0, value: $0.1) }
    let request = HTTPRequest(
      method: "POST", endpoint: endpoint, target: "/a%20b/../c?q=%2F", headers: headers, body: Array("in".utf8))
    let response = try await HTTPClient.send(request, deadline: .seconds(20))
    #expect(seen == ["POST", "/a%20b/../c?q=%2F", "in", "1", nil, "127.0.0.1", "a", "b"])
    #expect(response.status == 201)
    #expect(response.reason == "Made")
    #expect(response.header("X-Three") == "3")
    #expect(response.header("Content-Length") == "3")
    #expect(response.body == Array("yes".utf8))
  }

  @Test("every method reaches the handler", arguments: ["GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
  @LoopActor func everyMethodReachesTheHandler(method: String) async throws {
    let listener = HTTPListener { $0.respond(status: 405, text: $0.method) }
    let endpoint = try listener.listen(on: Self.anyPort)
    let request = HTTPRequest(method: method, endpoint: endpoint, target: "/")
    let response = try await HTTPClient.send(request, deadline: .seconds(20))
    #expect(response.status == 405)
    #expect(response.body == Array(method.utf8))
  }

  @Test @LoopActor func connectionsStayOpenAndHEADHasNoBody() async throws {
    let listener = HTTPListener { $0.respond(status: 200, text: $0.target) }
    let stream = try await open(try listener.listen(on: Self.anyPort))
    try stream.write("GET /one HTTP/1.1\r\n\r\n")
    let head = ["HTTP/1.1 200 OK", "Content-Type: text/plain; charset=utf-8", "Content-Length: 4"]
    #expect(try await answer(from: stream) == head + ["/one"])
    try stream.write("HEAD /two HTTP/1.1\r\n\r\nGET /333 HTTP/1.1\r\nConnection: close\r\n\r\n")
    #expect(try await answer(from: stream, hasBody: false) == head)
    #expect(try await answer(from: stream) == head + ["Connection: close", "/333"])
    #expect(try await stream.read(upTo: 1) == [])
  }

  @Test @LoopActor func anHTTP10ClientGetsTheAnswerAndTheEndOfTheConnection() async throws {
    let listener = HTTPListener { $0.respond(status: 200, body: Array("old".utf8)) }
    let stream = try await open(try listener.listen(on: Self.anyPort))
    try stream.write("GET / HTTP/1.0\r\n\r\n")
    #expect(String(decoding: try await stream.readToEnd(limit: 1000), as: UTF8.self) == "HTTP/1.0 200 OK\r\n\r\nold")
  }

  @Test @LoopActor func badRequestsAreAnsweredWithoutTheHandler() async throws {
    var calls = 0
    var limits = HTTPServerLimits()
    (limits.maxHeadBytes, limits.maxBodyBytes) = (1000, 100)
    let listener = HTTPListener(limits: limits) {
      calls += 1
      $0.respond(status: 200, text: "ok")
    }
    let endpoint = try listener.listen(on: Self.anyPort)
    let long = String(repeating: "x", count: 2000)
    let cases: [(String, String)] = [
      ("nonsense\r\n\r\n", "400"),
      ("GET /\u{1} HTTP/1.1\r\nno colon\r\n\r\n", "400"),
      ("FROB / HTTP/1.1\r\n\r\n", "405"),
      ("FROB / HTTP/1.1\r\nContent-Length: 18\r\n\r\nGET / HTTP/1.1\r\n\r\n", "405"),
      ("GET /\(long) HTTP/1.1\r\n\r\n", "4"),
      ("GET / HTTP/1.1\r\nX: \(long)\r\n\r\n", "4"),
      ("POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n\(long)", "413"),
      ("POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
      ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n\(long)\r\n0\r\n\r\n", "413"),
    ]
    for (text, status) in cases {
      let line = try await self.status(text, to: endpoint)
      #expect(line.dropFirst(9).hasPrefix(status), "\(text.prefix(50)): \(line)")
    }
    #expect(calls == 0)
    #expect(try await status("GET / HTTP/1.1\r\n\r\n", to: endpoint) == "HTTP/1.1 200 OK")
  }

  /// evhttp itself would collect a chunk's size line, and what comes while it writes, without end.
  @Test(
    "endless input is cut",
    arguments: ["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;", "GET / HTTP/1.1\r\n\r\n"])
  @LoopActor func endlessInputIsCut(start: String) async throws {
    let listener = HTTPListener { $0.respond(status: 200, body: [UInt8](repeating: 0, count: 8 << 20)) }
    let stream = try await open(try listener.listen(on: Self.anyPort))
    try stream.write(start)
    do {
      while true {
        try stream.write([UInt8](repeating: UInt8(ascii: "1"), count: 64 << 10))
        try await stream.flush()
      }
    } catch {
      guard case .failed = error as? StreamError else { throw error }
    }
  }

  @Test @LoopActor func aRequestIsAnsweredLaterAndWith500WhenForgotten() async throws {
    var kept: [HTTPExchange] = []
    let listener = HTTPListener { kept.append($0) }
    let endpoint = try listener.listen(on: Self.anyPort)
    let answered = Task {
      try await HTTPClient.send(HTTPRequest(endpoint: endpoint, target: "/a"), deadline: .seconds(20))
    }
    try await eventually("the request arrives") { kept.count == 1 }
    #expect(kept.first?.header("Connection") == "close")
    #expect(kept.first?.peer == "127.0.0.1")
    kept.first?.respond(status: 200, text: "late")
    kept.first?.respond(status: 500, text: "only the first counts")
    #expect(try await answered.value.body == Array("late".utf8))
    kept = []
    let forgotten = Task {
      try await HTTPClient.send(HTTPRequest(endpoint: endpoint, target: "/b"), deadline: .seconds(20))
    }
    try await eventually("the request arrives") { kept.count == 1 }
    kept = []
    #expect(try await forgotten.value.status == 500)
  }

  @Test @LoopActor func answeringAClientThatHasGoneIsHarmless() async throws {
    var kept: [HTTPExchange] = []
    let listener = HTTPListener { kept.append($0) }
    let endpoint = try listener.listen(on: Self.anyPort)
    for _ in 0..<20 {
      let count = kept.count
      let stream = try await open(endpoint)
      try stream.write("GET /gone HTTP/1.1\r\nX: y\r\n\r\n")
      try await eventually("the request arrives") { kept.count == count + 1 }
      stream.close()
    }
    for exchange in kept { exchange.respond(status: 200, body: [UInt8](repeating: 0, count: 100_000)) }
    kept = []
    #expect(try await status("nonsense\r\n\r\n", to: endpoint).contains("400"))
  }

  @Test @LoopActor func closingWithOpenRequestsIsHarmless() async throws {
    var kept: [HTTPExchange] = []
    let listener = HTTPListener { kept.append($0) }
    let endpoint = try listener.listen(on: Self.anyPort)
    let stream = try await open(endpoint)
    try stream.write("POST /x HTTP/1.1\r\nContent-Length: 2\r\nX: y\r\n\r\nab")
    try await eventually("the request arrives") { kept.count == 1 }
    listener.close()
    #expect(try await stream.read(upTo: 10) == [])
    let exchange = try #require(kept.first)
    #expect(exchange.header("x") == "y")
    #expect(exchange.peer == "127.0.0.1")
    #expect(exchange.body == Array("ab".utf8))
    exchange.respond(status: 200, text: "nobody listens")
    listener.close()
  }

  @Test @LoopActor func aHandlerMayCloseItsListener() async throws {
    var listener: HTTPListener?
    listener = HTTPListener { exchange in
      listener?.close()
      listener = nil
      exchange.respond(status: 200, text: "bye")
    }
    let endpoint = try #require(try listener?.listen(on: Self.anyPort))
    let stream = try await open(endpoint)
    try stream.write("GET / HTTP/1.1\r\n\r\n")
    await #expect(throws: StreamError.self) {
      while true { _ = try await stream.readLine(limit: 1000) }
    }
    await #expect(throws: StreamError.self) { try await open(endpoint).readLine(limit: 1000) }
  }

  @Test @LoopActor func headersWithLineBreaksAreSkipped() async throws {
    let listener = HTTPListener {
      $0.respond(status: 200, reason: "a\r\nb: c", headers: [("X", "y\r\nZ: z"), ("V", "w")], body: [])
    }
    let stream = try await open(try listener.listen(on: Self.anyPort))
    try stream.write("GET / HTTP/1.1\r\n\r\n")
    #expect(try await answer(from: stream) == ["HTTP/1.1 200 OK", "V: w", "Content-Length: 0", ""])
  }

  @Test @LoopActor func connectionsBeyondTheLimitWaitUntilOneCloses() async throws {
    let limits = HTTPServerLimits { $0.maxConnections = 3 }
    let listener = HTTPListener(limits: limits) { $0.respond(status: 200, text: "ok") }
    let endpoint = try listener.listen(on: Self.anyPort)
    var streams: [ByteStream] = []
    for _ in 0..<3 {
      let stream = try await open(endpoint)
      try stream.write("GET / HTTP/1.1\r\n\r\n")
      _ = try await answer(from: stream)
      streams.append(stream)
    }
    let fourth = try await open(endpoint)
    try fourth.write("GET / HTTP/1.1\r\n\r\n")
    var line: String?
    let reading = Task { @LoopActor in line = try await fourth.readLine(limit: 100) }
    // Time enough to accept a fourth connection: one more answer on each of the three.
    for stream in streams {
      try stream.write("GET / HTTP/1.1\r\n\r\n")
      _ = try await answer(from: stream)
    }
    #expect(line == nil)
    streams.removeFirst().close()
    try await reading.value
    #expect(line == "HTTP/1.1 200 OK")
    // Closed connections are noticed, asked anything or not.
    streams = []
    for index in 0..<100 {
      let stream = try await open(endpoint)
      if index % 2 == 0 { continue }
      try stream.write("GET / HTTP/1.1\r\n\r\n")
      _ = try await answer(from: stream)
    }
  }

  @Test @LoopActor func silentConnectionsAreClosed() async throws {
    let limits = HTTPServerLimits { $0.idleTimeout = .milliseconds(60) }
    let listener = HTTPListener(limits: limits) { $0.respond(status: 200, text: "ok") }
    let endpoint = try listener.listen(on: Self.anyPort)
    #expect(try await open(endpoint).read(upTo: 1) == [])
    let stream = try await open(endpoint)
    try stream.write("GET / HTTP/1.1\r\nX")
    #expect(try await stream.read(upTo: 1) == [])
  }

  @Test @LoopActor func aUnixSocketIsServedAndItsFileRemoved() async throws {
    let directory = TemporaryDirectory()
    let endpoint = Endpoint.unix(path: directory.path + "/http.sock")
    let listener = HTTPListener { $0.respond(status: 200, text: $0.peer) }
    #expect(try listener.listen(on: endpoint) == endpoint)
    let response = try await HTTPClient.send(HTTPRequest(endpoint: endpoint, target: "/"), deadline: .seconds(20))
    #expect(response.body == Array("unix".utf8))
    #expect(throws: ListenError.addressInUse(endpoint)) { try HTTPListener { _ in }.listen(on: endpoint) }
    listener.close()
    #expect(!Files.exists(directory.path + "/http.sock"))
    // A socket file left by a process that was killed.
    let leftover = try #require(UnixSocketFile(path: directory.path + "/http.sock"))
    withExtendedLifetime(leftover) {}
    #expect(try HTTPListener { _ in }.listen(on: endpoint) == endpoint)
  }

  @Test @LoopActor func aFailureToListenSaysWhy() throws {
    let listener = HTTPListener { _ in }
    let endpoint = try listener.listen(on: Self.anyPort)
    #expect(throws: ListenError.addressInUse(endpoint)) { try HTTPListener { _ in }.listen(on: endpoint) }
    #expect(throws: ListenError.self) { try listener.listen(on: .unix(path: "/no/such/directory/socket")) }
    #expect(throws: ListenError.self) { try listener.listen(on: .tcp(host: "192.0.2.1", port: 0)) }
    #expect(throws: ListenError.self) { try listener.adopt(descriptor: 0) }
    #expect(throws: ListenError.self) { try listener.adopt(descriptor: 99_999) }
  }

  @Test @LoopActor func socketsPassFromOneListenerToTheNext() async throws {
    let first = HTTPListener { $0.respond(status: 200, text: "first") }
    let endpoint = try first.listen(on: Self.anyPort)
    let descriptor = try #require(first.descriptors.first)
    #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
    let passedOn = dup(descriptor)
    let second = HTTPListener { $0.respond(status: 200, text: "second") }
    try second.adopt(descriptor: passedOn)
    #expect(fcntl(passedOn, F_GETFD) & FD_CLOEXEC != 0)
    first.close()
    let response = try await HTTPClient.send(HTTPRequest(endpoint: endpoint, target: "/"), deadline: .seconds(20))
    #expect(response.body == Array("second".utf8))
    #expect(second.descriptors == [passedOn])
  }
}

/// A bound socket file whose socket is closed again.
private struct UnixSocketFile {
  init?(path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if code != 0 { return nil }
  }
}

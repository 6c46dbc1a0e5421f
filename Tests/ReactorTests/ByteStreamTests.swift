import Glibc
import TestSupport
import Testing

@testable import Reactor

@Suite(.timeLimit(.minutes(2 * patience))) struct ByteStreamTests {
  @LoopActor private func open(_ server: LoopbackServer) async throws -> ByteStream {
    try await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: server.port), deadline: .seconds(30))
  }

  @Test(arguments: [EMFILE, ENFILE, ENOBUFS, ENOMEM, EADDRNOTAVAIL])
  func whatThisHostHasRunOutOfIsNoRefusal(_ code: Int32) {
    let endpoint = Endpoint.tcp(host: "10.0.0.1", port: 1)
    let error = StreamError(connecting: endpoint, code: code)
    #expect(error == .starved(endpoint, reason: errorText(code)))
    #expect("\(error)".hasPrefix("this host cannot ask 10.0.0.1:1: "))
  }

  /// The network of the tests has a loopback interface and nothing else.
  @Test @LoopActor func aNameOfLoopbacksAddressesIsTriedAtBoth() async throws {
    let listener = HTTPListener { $0.respond(status: 200, text: "") }
    guard case .tcp(_, let port) = try listener.listen(on: .tcp(host: "::1", port: 0)) else { return }
    let endpoint = Endpoint.tcp(host: "localhost", port: port)
    let addresses = try ["127.0.0.1", "::1"].flatMap {
      try SocketAddress.lookUp(host: $0, port: port, of: endpoint, flags: AI_NUMERICHOST)
    }
    close(try await endpoint.connect(to: addresses, deadline: .seconds(30)))
    listener.close()
  }

  @Test func aRefusalAndAHostWithoutSuchAnAddressAreNoShortage() throws {
    let endpoint = Endpoint.tcp(host: "2001:db8::1", port: 1)
    #expect(
      StreamError(connecting: endpoint, code: ECONNREFUSED) == .refused(endpoint, reason: errorText(ECONNREFUSED)))
    // The network of the tests has no IPv6 address but its loopback's.
    let address = try #require(try endpoint.immediateAddresses()?.first)
    if !address.hasSource {
      #expect(
        StreamError(connecting: endpoint, at: address, code: EADDRNOTAVAIL)
          == .refused(endpoint, reason: errorText(EADDRNOTAVAIL)))
    }
  }

  @Test @LoopActor func linesFixedCountsAndTheRestAreReadInOrder() async throws {
    let server = LoopbackServer { connection in
      connection.receive(until: "go\n")
      connection.send("one\r\ntwo\n\nabcdefrest")
    }
    let stream = try await open(server)
    try stream.write("g")
    try stream.write(Array("o\n".utf8))
    #expect(try await stream.readLine(limit: 10) == "one")
    #expect(try await stream.readLine(limit: 3) == "two")
    #expect(try await stream.readLine(limit: 10) == "")
    #expect(try await stream.read(exactly: 6) == Array("abcdef".utf8))
    #expect(try await stream.readToEnd(limit: 4) == Array("rest".utf8))
    #expect(try await stream.read(upTo: 10) == [])
  }

  @Test @LoopActor func anEarlyEndIsAnError() async throws {
    let server = LoopbackServer { $0.send("abc") }
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    await #expect(throws: StreamError.closed(endpoint)) { try await open(server).readLine(limit: 10) }
    await #expect(throws: StreamError.closed(endpoint)) { try await open(server).read(exactly: 4) }
  }

  @Test @LoopActor func whatIsLongerThanALimitIsAnError() async throws {
    let server = LoopbackServer { connection in
      while connection.send([UInt8](repeating: UInt8(ascii: "x"), count: 10_000)) {}
    }
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    await #expect(throws: StreamError.tooLong(endpoint, limit: 100)) { try await open(server).readLine(limit: 100) }
    // Beyond what is read ahead, so that the stream has to make room as it goes.
    await #expect(throws: StreamError.tooLong(endpoint, limit: 300_000)) {
      try await open(server).readLine(limit: 300_000)
    }
    await #expect(throws: StreamError.tooLong(endpoint, limit: 300_000)) {
      try await open(server).readToEnd(limit: 300_000)
    }
    #expect(try await open(server).read(exactly: 300_000).count == 300_000)
  }

  @Test @LoopActor func aSilentServerMeetsTheDeadline() async throws {
    let server = LoopbackServer { $0.waitForClose() }
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    let stream = try await open(server)
    stream.setDeadline(after: .milliseconds(50))
    let error = StreamError.timedOut(endpoint, after: .milliseconds(50))
    await #expect(throws: error) { try await stream.read(upTo: 1) }
    await #expect(throws: error) { try await stream.readLine(limit: 10) }
    #expect(throws: error) { try stream.write("x") }
    await #expect(throws: error) { try await stream.flush() }
  }

  /// The deadline is one for everything: bytes that keep coming do not move it.
  @Test @LoopActor func theDeadlineEndsAReadThatGetsAByteNowAndThen() async throws {
    let server = LoopbackServer { connection in
      while connection.send("x") { poll(nil, 0, 5) }
    }
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    let stream = try await open(server)
    stream.setDeadline(after: .milliseconds(60))
    await #expect(throws: StreamError.timedOut(endpoint, after: .milliseconds(60))) {
      try await stream.read(exactly: 1_000_000)
    }
  }

  @Test @LoopActor func theDeadlineCanBeLifted() async throws {
    let server = LoopbackServer { connection in
      poll(nil, 0, 80)
      connection.send("late")
    }
    let stream = try await open(server)
    stream.setDeadline(after: .milliseconds(40))
    stream.setDeadline(after: nil)
    #expect(try await stream.readToEnd(limit: 10) == Array("late".utf8))
  }

  @Test @LoopActor func aResetIsAnErrorAfterWhatCameBefore() async throws {
    let server = LoopbackServer { connection in
      connection.send("abc")
      connection.receive(until: "got it")
      connection.resetOnClose()
    }
    let stream = try await open(server)
    #expect(try await stream.read(exactly: 3) == Array("abc".utf8))
    try stream.write("got it")
    await #expect(throws: StreamError.failed(stream.endpoint, reason: "Connection reset by peer")) {
      try await stream.read(upTo: 10)
    }
  }

  @Test @LoopActor func aRefusedConnectionSaysWhy() async throws {
    let port = LoopbackServer { _ in }.port  // gone again with the value
    let refused = Endpoint.tcp(host: "127.0.0.1", port: port)
    try await eventually("nobody listens") {
      do {
        _ = try await ByteStream.connect(to: refused, deadline: .seconds(20))
        return false
      } catch {
        return error as? StreamError == .refused(refused, reason: "Connection refused")
      }
    }
    let cases: [(Endpoint, String)] = [
      (.tcp(host: String(repeating: "a", count: 300), port: 1), "does not resolve"),
      (.tcp(host: "", port: 1), "empty"),
      (.tcp(host: "127.0.0.1", port: 70_000), "outside"),
      (.unix(path: "/no/such/socket"), "No such file"),
      (.unix(path: "/" + String(repeating: "a", count: 200)), "longer"),
    ]
    for (endpoint, words) in cases {
      do {
        _ = try await ByteStream.connect(to: endpoint, deadline: .seconds(20))
        Issue.record("connected to \(endpoint)")
      } catch {
        #expect("\(error)".contains(words))
      }
    }
  }

  /// `localhost` has an IPv6 address, too, on many machines; nobody listens there.
  @Test @LoopActor func theAddressesOfANameAreTriedInTurn() async throws {
    let server = LoopbackServer { $0.send("hello") }
    let stream = try await ByteStream.connect(to: .tcp(host: "localhost", port: server.port), deadline: .seconds(30))
    #expect(try await stream.readToEnd(limit: 10) == Array("hello".utf8))
  }

  @Test @LoopActor func aUnixListenerThatDoesNotAcceptMeetsTheDeadline() async throws {
    let directory = TemporaryDirectory()
    let endpoint = Endpoint.unix(path: directory.path + "/socket")
    let listener = try BacklogOfOne(path: directory.path + "/socket")
    var streams: [ByteStream] = []
    await #expect(throws: StreamError.timedOut(endpoint, after: .milliseconds(50))) {
      while streams.count < 100 {
        streams.append(try await ByteStream.connect(to: endpoint, deadline: .milliseconds(50)))
        streams.last?.setDeadline(after: nil)
      }
    }
    withExtendedLifetime(listener) {}
  }

  @Test @LoopActor func largeTransfersArriveWholeInBothDirections() async throws {
    let count = 3 << 20
    let server = LoopbackServer { connection in
      var seen = 0
      while seen < count {
        let piece = connection.receive()
        if piece.isEmpty { return }
        seen += piece.count
      }
      connection.send([UInt8](repeating: 7, count: count))
    }
    let stream = try await open(server)
    try stream.write([UInt8](repeating: 1, count: count))
    try await stream.flush()
    let bytes = try await stream.readToEnd(limit: count)
    #expect(bytes.count == count)
    #expect(bytes.allSatisfy { $0 == 7 })
  }

  @Test @LoopActor func aPeerThatDoesNotReadIsNoticed() async throws {
    let server = LoopbackServer { _ in poll(nil, 0, 30_000) }
    let stream = try await open(server)
    #expect(throws: StreamError.self) {
      for _ in 0..<40 { try stream.write([UInt8](repeating: 0, count: 1 << 20)) }
    }
  }

  @Test @LoopActor func aCancelledReadLeavesTheStreamWhole() async throws {
    let server = LoopbackServer { connection in
      connection.receive(until: "go")
      connection.send("after")
      connection.waitForClose()
    }
    let stream = try await open(server)
    let reading = Task.immediate { @LoopActor in try await stream.read(upTo: 10) }
    reading.cancel()
    await #expect(throws: CancellationError.self) { try await reading.value }
    try stream.write("go")
    #expect(try await stream.read(upTo: 10) == Array("after".utf8))
  }

  @Test @LoopActor func closingEndsAWaitingRead() async throws {
    let server = LoopbackServer { $0.waitForClose() }
    let stream = try await open(server)
    let reading = Task.immediate { @LoopActor in try await stream.read(upTo: 10) }
    stream.close()
    await #expect(throws: StreamError.closed(stream.endpoint)) { try await reading.value }
    #expect(throws: StreamError.closed(stream.endpoint)) { try stream.write("x") }
  }

  @Test @LoopActor func aStreamThatIsReleasedIsClosed() async throws {
    let closed = Locked(false)
    let server = LoopbackServer { connection in
      connection.waitForClose()
      closed.withLock { $0 = true }
    }
    _ = try await open(server)
    try await eventually("the server sees the end") { closed.withLock { $0 } }
  }
}

/// A Unix socket that listens and never accepts.
private final class BacklogOfOne {
  private let descriptor: Int32

  init(path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let isListening = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(descriptor, 1) == 0
      }
    }
    try #require(isListening)
  }

  deinit { close(descriptor) }
}

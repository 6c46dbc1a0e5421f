import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// What whoever reaches hacheck's port might want, and does not get.
@Suite @LoopActor struct AttackTests {
  /// Somebody listens on a port of this machine and has hacheck ask there.
  @Test(arguments: ["redis", "mysql"]) func aListenerOnAnyOtherPortGetsNoPassword(_ kind: String) async throws {
    let heard = Locked<[UInt8]>([])
    let thief = LoopbackServer { connection in
      if kind == "mysql" { connection.send([UInt8(20), 0, 0, 0] + Array("\u{a}5.5.5-10.11.6\u{0}abcd".utf8)) }
      while true {
        let piece = connection.receive()
        if piece.isEmpty { return }
        heard.withLock { $0 += piece }
        connection.send("-NOAUTH Authentication required.\r\n")
      }
    }
    let hacheck = try ServiceFixture {
      ($0.redisUsername, $0.redisPassword) = ("account", "secret")
      ($0.mysqlUsername, $0.mysqlPassword) = ("account", "secret")
    }
    let answer = try await hacheck.get("/\(kind)/web/\(thief.port)")
    #expect(answer.status != 200)
    #expect(answer.text.contains("\(kind)_servers does not name it"), "\(answer.text)")
    let text = String(decoding: heard.withLock { $0 }, as: UTF8.self)
    #expect(!text.contains("secret") && !text.contains("account"), "\(text)")
  }

  /// Bytes of memory that this process has now.
  private var memory: Int {
    let text = String(decoding: (try? Files.read("/proc/self/statm", limit: 4096)) ?? [], as: UTF8.self)
    return (text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * Int(getpagesize())
  }

  /// Connections that ask for the longest page and do not read it.
  @Test(arguments: ["/status/count", "/recent?threshold=1e9"])
  func clientsThatDoNotReadCostLittleMemory(_ target: String) async throws {
    let hacheck = try ServiceFixture { $0.maxConnections = 2000 }
    for number in 0..<10_000 {
      let name = "\(number)" + String(repeating: "x", count: 240)
      let path = CheckPath(protocol: .spool, service: name, port: 1)
      _ = try hacheck.service.engine.question(path, headers: .list([]), peer: "10.0.0.1")
    }
    let page = try await hacheck.get(target).body.count
    #expect(page > 400_000)
    let before = memory
    var silent: [Int32] = []
    for _ in 0..<500 {
      silent.append(try await SilentClient.ask(target, port: hacheck.port))
      // Whoever else asks is answered meanwhile.
      if silent.count.isMultiple(of: 50) { #expect(try await hacheck.get("/healthz").status == 200) }
    }
    #expect(try await hacheck.get("/healthz").status == 200)
    #expect(memory - before < 64 << 20, "\((memory - before) >> 20) MiB for 500 answers of \(page >> 10) KiB")
    for connection in silent { close(connection) }
  }

  /// Connections that ask the same again and again in one go, and read nothing.
  @Test func pipelinedQuestionsWithoutReadersCostLittleMemory() async throws {
    let hacheck = try ServiceFixture()
    let before = memory
    var silent: [Int32] = []
    for _ in 0..<200 {
      silent.append(try await SilentClient.ask("/metrics", times: 1000, port: hacheck.port))
    }
    #expect(try await hacheck.get("/healthz").status == 200)
    #expect(memory - before < 64 << 20, "\((memory - before) >> 20) MiB for 200 connections")
    for connection in silent { close(connection) }
  }

  /// Connections that never finish their request.
  @Test func oneAddressLeavesRoomForOthers() async throws {
    let hacheck = try ServiceFixture { ($0.maxConnections, $0.requestTimeout) = (400, .seconds(3600)) }
    var slow: [Int32] = []
    // Fewer than the limit for all: only that for one address ends any of them.
    for _ in 0..<380 {
      slow.append(
        try await SilentClient.ask("/half", port: hacheck.port, from: "127.0.0.2", isWhole: false))
    }
    try await eventually("those beyond three quarters are closed") {
      slow.count { !SilentClient.isClosed($0) } <= 300 + 300 / 16
    }
    #expect(try await hacheck.get("/healthz").status == 200)
    for connection in slow { close(connection) }
  }

  /// Whoever asks once does not wait for all that another address asks for.
  @Test func addressesTakeTurns() async throws {
    var peers: [String] = []
    let listener = HTTPListener { exchange in
      peers.append(exchange.peer)
      exchange.respond(status: 200, text: "")
    }
    defer { listener.close() }
    guard case .tcp(_, let port) = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)) else { return }
    var clients: [Int32] = []
    for number in 0...400 {
      let source = number < 400 ? "127.0.0.2" : "127.0.0.3"
      clients.append(try await SilentClient.ask("/", port: port, from: source, isWhole: false))
    }
    // The loop stands still meanwhile: all are there when it goes on, and that of the other address is the last.
    for client in clients { #expect(send(client, "\r\n", 2, Int32(MSG_NOSIGNAL)) == 2) }
    try await eventually("\(peers.count) of \(clients.count) are answered") { peers.count == clients.count }
    let place = try #require(peers.firstIndex(of: "127.0.0.3"))
    #expect(place < 200, "its turn was number \(place)")
    for client in clients { close(client) }
  }
}

/// A connection that has asked and never reads.
enum SilentClient {
  static func ask(
    _ target: String, times: Int = 1, port: Int, from source: String = "127.0.0.1", isWhole: Bool = true
  ) async throws -> Int32 {
    let request = "GET \(target) HTTP/1.1\r\nHost: x\r\n\(isWhole ? "\r\n" : "")"
    let bytes = [UInt8](String(repeating: request, count: times).utf8)
    return try await onThread { Result { try ask(bytes, port: port, from: source) } }.get()
  }

  private static func ask(_ bytes: [UInt8], port: Int, from source: String) throws -> Int32 {
    let connection = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    // Little room in the kernel: what is not read stays with the server.
    var size: Int32 = 4096
    setsockopt(connection, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    var own = address(source, 0)
    var peer = address("127.0.0.1", port)
    let length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let isConnected =
      withUnsafePointer(to: &own) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(connection, $0, length) }
      } == 0
      && withUnsafePointer(to: &peer) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(connection, $0, length) }
      } == 0
    guard isConnected else { throw ServerTrouble(description: "no connection: errno \(errno)") }
    // As much as the server takes.
    send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
    return connection
  }

  static func isClosed(_ connection: Int32) -> Bool {
    var byte: UInt8 = 0
    let count = recv(connection, &byte, 1, Int32(MSG_PEEK) | Int32(MSG_DONTWAIT))
    return count == 0 || count < 0 && errno != EAGAIN
  }

  private static func address(_ host: String, _ port: Int) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    inet_pton(AF_INET, host, &address.sin_addr)
    return address
  }
}

import Glibc
import Reactor
import TestSupport
import Testing

/// `openssl s_server` with two self-signed certificates: for `localhost`, and for clients that ask for
/// `second.test` by SNI.
@LoopActor private final class TLSServer {
  let directory = TemporaryDirectory()
  private(set) var port = 0
  private var child: ChildProcess?

  init(_ arguments: [String] = ["-www"]) async throws {
    try await makeCertificate("first", names: "DNS:localhost,IP:127.0.0.1")
    try await makeCertificate("second", names: "DNS:second.test")
    let path = directory.path
    let log = path + "/log"
    child = try ChildProcess.start(
      "openssl",
      arguments: [
        "s_server", "-accept", "127.0.0.1:0", "-cert", path + "/first.pem", "-key", path + "/first.key",
        "-servername", "second.test", "-cert2", path + "/second.pem", "-key2", path + "/second.key",
      ] + arguments, log: log)
    func said() -> [Substring] {
      String(decoding: (try? Files.read(log, limit: 1 << 20)) ?? [], as: UTF8.self)
        .split(separator: "\n", omittingEmptySubsequences: false)
    }
    func address() -> Substring? { said().dropLast().first { $0.hasPrefix("ACCEPT") } }
    try await eventually("openssl says its port") { address() != nil }
    port = Int(address()?.split(separator: ":").last ?? "") ?? 0
    try #require(port > 0)
  }

  isolated deinit { child?.kill() }

  func authority(_ name: String) -> String { "\(directory.path)/\(name).pem" }

  private func makeCertificate(_ name: String, names: String) async throws {
    let base = "\(directory.path)/\(name)"
    let result = try await ChildProcess.run(
      "openssl",
      arguments: [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=\(name)", "-addext", "subjectAltName=\(names)", "-keyout", base + ".key", "-out", base + ".pem",
      ], deadline: .seconds(60))
    try #require(result.status == .exited(0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
  }
}

@Suite(.timeLimit(.minutes(2 * patience))) struct TLSTests {
  @Test @LoopActor func speaksTLSAndVerifiesOnlyWhenAsked() async throws {
    let server = try await TLSServer()
    func get(_ tls: TLSOptions) async throws -> Int {
      let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
      return try await HTTPClient.send(
        HTTPRequest(endpoint: endpoint, tls: tls, target: "/"), deadline: .seconds(60)
      ).status
    }
    func expectFailure(_ tls: TLSOptions, _ words: String) async throws {
      do {
        _ = try await get(tls)
        Issue.record("the certificate was accepted for \(tls)")
      } catch let error as StreamError {
        #expect(error.description.contains(words), "\(error)")
      }
    }
    let (first, second) = (server.authority("first"), server.authority("second"))
    #expect(try await get(TLSOptions(serverName: nil)) == 200)
    #expect(try await get(TLSOptions(serverName: "whatever.test")) == 200)
    // By address, by name, and by the name that only SNI gets a certificate for.
    #expect(try await get(TLSOptions(serverName: nil, verify: true, authorityFile: first)) == 200)
    #expect(try await get(TLSOptions(serverName: "localhost", verify: true, authorityFile: first)) == 200)
    #expect(try await get(TLSOptions(serverName: "second.test", verify: true, authorityFile: second)) == 200)
    try await expectFailure(TLSOptions(serverName: "other.test", verify: true, authorityFile: first), "hostname")
    try await expectFailure(TLSOptions(serverName: "localhost", verify: true), "self-signed")
    try await expectFailure(
      TLSOptions(serverName: nil, verify: true, authorityFile: "/no/such.pem"),
      "cannot read authorities from /no/such.pem: No such file or directory")
  }

  /// `-rev` answers every line with the line reversed.
  @Test @LoopActor func largeTransfersArriveWholeInBothDirections() async throws {
    let server = try await TLSServer(["-rev"])
    let stream = try await ByteStream.connect(
      to: .tcp(host: "127.0.0.1", port: server.port), tls: TLSOptions(serverName: nil), deadline: .seconds(60))
    for index in 0..<300 {
      let line = String(repeating: "x", count: 5000) + String(index)
      try stream.write(line + "\n")
    }
    for index in 0..<300 {
      let line = try await stream.readLine(limit: 10_000)
      #expect(line == String(String(index).reversed()) + String(repeating: "x", count: 5000))
    }
    stream.close()
  }

  @Test @LoopActor func aPlainServerIsATLSFailure() async throws {
    let server = LoopbackServer { connection in
      connection.send("SSH-2.0-x\r\n")
      connection.waitForClose()
    }
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: server.port)
    do {
      _ = try await ByteStream.connect(to: endpoint, tls: TLSOptions(serverName: nil), deadline: .seconds(60))
      Issue.record("a handshake with SSH")
    } catch let error as StreamError {
      #expect(error.description.contains("TLS failure: "), "\(error)")
    }
  }

  @Test @LoopActor func aHandshakeThatHangsOrEndsEarlyIsAnError() async throws {
    let silent = LoopbackServer { $0.waitForClose() }
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: silent.port)
    await #expect(throws: StreamError.timedOut(endpoint, after: .milliseconds(50))) {
      try await ByteStream.connect(to: endpoint, tls: TLSOptions(serverName: nil), deadline: .milliseconds(50))
    }
    let rude = LoopbackServer { _ = $0.receive() }
    do {
      let endpoint = Endpoint.tcp(host: "127.0.0.1", port: rude.port)
      _ = try await ByteStream.connect(to: endpoint, tls: TLSOptions(serverName: nil), deadline: .seconds(60))
      Issue.record("a handshake with nobody")
    } catch let error as StreamError {
      #expect(error.description.contains("failed"), "\(error)")
    }
  }
}

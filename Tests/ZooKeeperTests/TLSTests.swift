import Logging
import Reactor
import TestSupport
import Testing

@testable import ZooKeeper

/// Servers that speak TLS and nothing else.
@Suite("ZooKeeper by TLS", .serialized, .timeLimit(.minutes(5))) @LoopActor struct TLSTests {
  private static let directory = "/smartstack/global/web.main"
  private static let web = Registration(directory: directory, name: "host1_", data: "{}".bytes)

  private static func options(_ authority: TestAuthority, certificate: String? = nil) -> TLSOptions {
    var options = TLSOptions(serverName: nil, verify: true, authorityFile: authority.file)
    options.certificateFile = certificate
    return options
  }

  /// libzookeeper's sessions by the relay, the reader by itself.
  @Test(arguments: [false, true])
  func registrationsAreMadeAndRead(_ wantsCertificates: Bool) async throws {
    let authority = try await TestAuthority()
    let certificate = wantsCertificates ? try await authority.certificate("DNS:agent") : nil
    let options = Self.options(authority, certificate: certificate)
    let server = (certificate: try await authority.certificate(), clients: wantsCertificates ? authority.file : nil)
    try await withServer(tick: .seconds(1), tls: server) { world, server in
      let ensemble = "localhost:\(server.port)"
      let reader = try await world.reader(to: ensemble, tls: options, timeout: .seconds(20))
      let client = try await world.client(to: ensemble, tls: options, timeout: .seconds(20))
      let copy = Copy(of: Self.directory, by: reader)
      let path = try await registered(client.want(Self.web))
      let truth = [String(path.dropFirst(Self.directory.count + 1)): "{}".bytes]
      try await eventually("it is read") { copy.isEqual(to: truth) }
      // Both go on when the server comes back, over other connections.
      let session = client.savedSession
      await server.kill()
      try await eventually("the loss is noticed") { !client.isConnected }
      try await server.start()
      try await connected(client)
      #expect(client.savedSession == session)
      try await eventually("the reader is back") { (try? await reader.read(path)) != nil }
      try await client.set(path, to: "{ }".bytes)
      try await eventually("the change is read") { copy.isEqual(to: truth.mapValues { _ in "{ }".bytes }) }
      copy.end()
    }
  }

  enum Mistake: CaseIterable {
    case otherAuthority, expired, otherName, noCertificate, otherKey

    var words: String {
      switch self {
      case .otherAuthority: "the certificate is not valid: unable to get local issuer certificate"
      case .expired: "the certificate is not valid: certificate has expired"
      case .otherName: "the certificate is not valid: hostname mismatch"
      case .noCertificate: "TLS failure: "
      case .otherKey: "key values mismatch"
      }
    }
  }

  @Test(arguments: Mistake.allCases) func whatIsWrongIsSaidAndNothingElseTried(_ mistake: Mistake) async throws {
    // A server does not serve with a certificate of its own that has expired, or not every release does: it is the
    // authority's.
    let authority = try await TestAuthority(days: mistake == .expired ? -1 : 2)
    let other = try await TestAuthority()
    var options = Self.options(authority, certificate: try await authority.certificate("DNS:agent"))
    var certificate = try await authority.certificate()
    switch mistake {
    case .otherAuthority: options.authorityFile = other.file
    case .expired: break
    case .otherName: certificate = try await authority.certificate("DNS:other.test")
    case .noCertificate: options.certificateFile = nil
    case .otherKey: options.keyFile = try await authority.certificate("DNS:elsewhere")
    }
    let server = try ZooKeeperServer(tls: (certificate, clients: authority.file))
    try await server.start()
    let ensemble = try ServerList(["localhost:\(server.port)"])
    let (logs, clock) = ([Journal(from: .error), Journal(from: .error)], LoopClock.manual())
    let client = ZooKeeperClient(ensemble: ensemble, tls: options, clock: clock, logger: logs[0].logger)
    let reader = ZooKeeperReader(ensemble: ensemble, tls: options, clock: clock, logger: logs[1].logger)
    client.start()
    reader.start()
    for log in logs {
      // A server that is slow to answer is named as that first.
      try await eventually("it is said: \(log.lines)") {
        clock.advance(by: .milliseconds(100))
        return log.lines.contains { $0.contains("localhost:\(server.port)") && $0.contains(mistake.words) }
      }
    }
    withExtendedLifetime(other) { #expect(!client.isConnected) }
    await client.close()
    await reader.close()
    await server.kill()
  }

  @Test func theFirstThatNamesAServerCounts() throws {
    func tls(_ name: String, _ servers: [String]?) throws -> ZooKeeperTLS {
      ZooKeeperTLS(servers: try servers.map(ServerList.init), options: TLSOptions(serverName: name, verify: true))
    }
    let table = [try tls("one", ["a:1", "b:1"]), try tls("two", ["b:1", "c"]), try tls("rest", nil)]
    for (servers, name) in [(["b:1"], "one"), (["c:2181", "d"], "two"), (["c:1"], "rest"), (["a:1/x"], "one")] {
      #expect(table.options(for: try ServerList(servers))?.serverName == name)
    }
    #expect([ZooKeeperTLS]().options(for: try ServerList(["a"])) == nil)
    #expect(Array(table.dropLast()).options(for: try ServerList(["d"])) == nil)
  }
}

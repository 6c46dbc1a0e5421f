import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry
@testable import ZooKeeper

/// What a run leaves in a registry, and what the next one makes of it.
@Suite("own records of an earlier run", .serialized, .timeLimit(.minutes(4 * patience))) @LoopActor struct OwnNodeTests
{
  private let directory = TemporaryDirectory()

  private func publisher(_ credentials: ZooKeeperCredentials? = nil) -> RegistrationPublisher {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let store = SessionStore(instanceID: "here", inherited: [:], logger: logger) { [directory] in
      "\(directory.path)/\($0)"
    }
    return RegistrationPublisher(
      instance: "here", sessionTimeout: .seconds(20), credentials: credentials, store: store, clock: .system,
      logger: logger,
      metrics: Metrics())
  }

  private func target(
    _ service: String, at server: ZooKeeperServer, more: String = "", mode: NodeMode = .ephemeralSequential
  ) throws -> RegistrationTarget {
    let registration = Registration(
      directory: "/svc/\(service)", name: "here_", data: Array(#"{"host":"10.0.0.1","port":1,"name":"here"}"#.utf8),
      mode: mode)
    return .zooKeeper(
      ZooKeeperTarget(
        ensemble: try ServerList([server.connection + more]), registration: registration, renewal: nil,
        encodedBytes: nil))
  }

  private func observer(
    of server: ZooKeeperServer, _ credentials: ZooKeeperCredentials? = nil
  ) async throws -> ZooKeeperClient {
    let observer = ZooKeeperClient(
      ensemble: try ServerList([server.connection]), logger: silent, credentials: credentials)
    observer.start()
    try await eventually("the observer is connected") { observer.isConnected }
    return observer
  }

  private func files() throws -> [String] { try Files.list(directory.path).filter { $0.hasPrefix("session-") } }

  @Test func aServiceThatHasLeftTheConfigurationDoesNotStayRegistered() async throws {
    let server = try ZooKeeperServer(tick: .seconds(1))
    try await server.start()
    let observer = try await observer(of: server)
    let first = publisher()
    let targets = try ["keep", "drop"].map { try target($0, at: server) }
    for registrar in targets.map({ first.publish($0) { _ in } }) { registrar.report(.up) }
    try await eventually("both are registered") {
      let keep = try? await observer.children("/svc/keep")
      let drop = try? await observer.children("/svc/drop")
      return keep?.count == 1 && drop?.count == 1
    }
    // As a crash does, it leaves everything where it is.
    await first.end(keepsRegistrations: true)
    let second = publisher()
    second.publish(targets[0]) { _ in }.report(.up)
    second.dropLeftovers(of: [targets[0]])
    try await eventually("the other one is gone") { (try? await observer.children("/svc/drop")) == [] }
    #expect(try await observer.children("/svc/keep")?.count == 1)
    // A stop that no server hears of is made up for by the next run.
    await server.kill()
    try await eventually("the connection is lost") { !second.isConnected }
    await second.end(keepsRegistrations: false)
    #expect(try files().count == 1)
    try await server.start()
    let third = publisher()
    third.publish(targets[1]) { _ in }.report(.down)
    third.dropLeftovers(of: [targets[1]])
    try await eventually("nothing is left") { (try? await observer.children("/svc/keep")) == [] }
    await third.end(keepsRegistrations: false)
    #expect(try files().isEmpty)
    await observer.close()
    await server.kill()
  }

  /// Whoever owns the directory may delete there, and nobody else.
  @Test func whatIsNotToBeDeletedHoldsNoEnsembleAndIsTheNextRunsToTidyUp() async throws {
    let server = try ZooKeeperServer(tick: .seconds(1))
    try await server.start()
    let credentials = ZooKeeperCredentials(secret: "nerve:secret", protectsNodes: true)
    let owner = try await observer(of: server, credentials)
    for service in ["lasting", "other"] { try await owner.create("/svc/\(service)/x") }
    let events = Events()
    let first = publisher()
    let targets = try [target("lasting", at: server, mode: .persistent), target("other", at: server)]
    let registrars = targets.map { first.publish($0) { events.add($0) } }
    for registrar in registrars { registrar.report(.up) }
    try await eventually("both are registered") { registrars.allSatisfy(\.state.isSettled) }
    for registrar in registrars { await registrar.close() }
    #expect(first.sessions.isEmpty)
    #expect(events.refusals == 2)
    #expect(events.all.allSatisfy { if case .deregistered = $0 { false } else { true } })
    try await eventually("the session's end has taken its node along") {
      (try? await owner.children("/svc/other")) == ["x"]
    }
    #expect(try await owner.children("/svc/lasting")?.count == 2)
    await first.end(keepsRegistrations: false)
    #expect(try files().count == 1)
    // No service of the next run names the ensemble, and it has the rights.
    let second = publisher(credentials)
    second.dropLeftovers(of: [])
    #expect(second.isConnected)
    try await eventually("nothing is left") { (try? await owner.children("/svc/lasting")) == ["x"] }
    try await eventually("and nothing is remembered") { try files().isEmpty && second.sessions.isEmpty }
    await second.end(keepsRegistrations: false)
    await owner.close()
    await server.kill()
  }

  /// An ensemble that gets a server, or loses one, has another list and the same nodes.
  @Test func whatAnotherListOfTheSameServersHasIsNotALeftover() async throws {
    let server = try ZooKeeperServer(tick: .seconds(1))
    try await server.start()
    let observer = try await observer(of: server)
    let first = publisher()
    let (keep, drop) = (
      try target("keep", at: server, mode: .persistent), try target("drop", at: server, mode: .persistent)
    )
    let registrars = [keep, drop].map { first.publish($0) { _ in } }
    for registrar in registrars { registrar.report(.up) }
    try await eventually("both are registered") { registrars.allSatisfy(\.state.isSettled) }
    await first.end(keepsRegistrations: true)
    let changes = try await observer.inspect("/svc/keep")?.stat.childVersion
    let second = publisher()
    let wanted = try target("keep", at: server, more: ",127.0.0.1:\(freePort())", mode: .persistent)
    second.publish(wanted) { _ in }.report(.up)
    second.dropLeftovers(of: [wanted])
    try await eventually("the other one is gone") { (try? await observer.children("/svc/drop")) == [] }
    try await eventually("the former list is let go of") { second.sessions.count == 1 }
    #expect(try await observer.children("/svc/keep") == ["here_"])
    #expect(try await observer.inspect("/svc/keep")?.stat.childVersion == changes)
    await second.end(keepsRegistrations: false)
    await observer.close()
    await server.kill()
  }

  private func file(_ service: String) -> FileTarget {
    FileTarget(
      directory: "\(directory.path)/\(service)", name: FileTarget.name(service: service, instance: "here"),
      data: Array("{}".utf8), renewal: nil)
  }

  @Test func whatIsAboutToBeAppendedIsWrittenAtTheEnd() throws {
    func store() -> SessionStore {
      SessionStore(instanceID: "here", inherited: [:], logger: silent) { [directory] in "\(directory.path)/\($0)" }
    }
    let first = store()
    first.save(nil, own: OwnNodes(), of: "files")
    #expect(first.append("+= 0 /a/b", of: "files"))
    first.flush()
    #expect(store().load("files").own == ["+= 0 /a/b"])
  }

  /// Nothing in the configuration names the directory any more.
  @Test func aFileOfADirectoryThatIsNoLongerConfiguredDoesNotStay() async throws {
    let (keep, drop) = (file("keep"), file("drop"))
    let first = publisher()
    for target in [keep, drop] { first.publish(.file(target)) { _ in }.report(.up) }
    try await eventually("both are there") { Files.exists(keep.path) && Files.exists(drop.path) }
    await first.end(keepsRegistrations: true)
    let second = publisher()
    second.publish(.file(keep)) { _ in }.report(.up)
    second.dropLeftovers(of: [.file(keep)])
    try await eventually("the other one is gone") { !Files.exists(drop.path) }
    #expect(Files.exists(keep.path))
    // Also of a run that ends before it knows what it wants.
    await second.end(keepsRegistrations: true)
    await publisher().end(keepsRegistrations: false)
    #expect(!Files.exists(keep.path))
    #expect(try files().isEmpty)
  }

  @Test func aKeyIsStruckOutWhenItsDeletionWasAnswered() async throws {
    let server = try EtcdServer(withV2: false)
    try await server.start()
    let settings = EtcdSettings(
      endpoints: [.tcp(host: "127.0.0.1", port: server.port)], api: .v3, lifetime: 86_400)
    let targets = ["keep", "drop"].map {
      RegistrationTarget.etcd(EtcdTarget(cluster: settings, key: "/n/\($0)", data: [1]))
    }
    func keys() async throws -> [String] {
      try await server.etcdctl(["get", "--prefix", "/n", "--keys-only"]).split(separator: "\n").map(String.init)
        .sorted()
    }
    let first = publisher()
    let registrars = targets.map { first.publish($0) { _ in } }
    for registrar in registrars { registrar.report(.up) }
    try await eventually("both are there") { try await keys() == ["/n/drop", "/n/keep"] }
    // The etcd is away, and so is the agent before it is back.
    await server.kill()
    registrars[1].report(.down)
    await first.end(keepsRegistrations: true)
    try await server.start()
    let second = publisher()
    second.publish(targets[0]) { _ in }.report(.up)
    second.dropLeftovers(of: [targets[0]])
    try await eventually("the other one is gone") { try await keys() == ["/n/keep"] }
    await second.end(keepsRegistrations: true)
    // Nothing in the configuration names the etcd any more.
    let third = publisher()
    third.dropLeftovers(of: [])
    try await eventually("nothing is left") { try await keys() == [] }
    try await eventually("and nothing is remembered") { try files().isEmpty }
    await third.end(keepsRegistrations: false)
    await server.kill()
  }
}

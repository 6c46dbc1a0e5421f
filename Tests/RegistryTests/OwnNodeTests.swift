import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import Registry

/// What a run leaves in a registry, and what the next one makes of it.
@Suite("own records of an earlier run", .serialized, .timeLimit(.minutes(4 * patience))) @LoopActor struct OwnNodeTests
{
  private let directory = TemporaryDirectory()

  private func publisher() -> RegistrationPublisher {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let store = SessionStore(instanceID: "here", inherited: [:], logger: logger) { [directory] in
      "\(directory.path)/\($0)"
    }
    return RegistrationPublisher(
      instance: "here", sessionTimeout: .seconds(20), credentials: nil, store: store, clock: .system, logger: logger,
      metrics: Metrics())
  }

  private func target(_ service: String, at server: ZooKeeperServer) throws -> RegistrationTarget {
    let registration = Registration(
      directory: "/svc/\(service)", name: "here_", data: Array(#"{"host":"10.0.0.1","port":1,"name":"here"}"#.utf8))
    return .zooKeeper(
      ZooKeeperTarget(
        ensemble: try ServerList([server.connection]), registration: registration, renewal: nil, encodedBytes: nil))
  }

  private func files() throws -> [String] { try Files.list(directory.path).filter { $0.hasPrefix("session-") } }

  @Test func aServiceThatHasLeftTheConfigurationDoesNotStayRegistered() async throws {
    let server = try ZooKeeperServer(tick: .seconds(1))
    try await server.start()
    let observer = ZooKeeperClient(
      ensemble: try ServerList([server.connection]), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    observer.start()
    try await eventually("the observer is connected") { observer.isConnected }
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

  private func file(_ service: String) -> FileTarget {
    FileTarget(
      directory: "\(directory.path)/\(service)", name: FileTarget.name(service: service, instance: "here"),
      data: Array("{}".utf8), renewal: nil)
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
    await second.end(keepsRegistrations: false)
    #expect(try await keys() == [])
    #expect(try files().isEmpty)
    await server.kill()
  }
}

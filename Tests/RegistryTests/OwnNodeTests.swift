import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import Registry

/// What a run leaves in ZooKeeper, and what the next one makes of it.
@Suite("own nodes of an earlier run", .timeLimit(.minutes(2))) @LoopActor struct OwnNodeTests {
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
    await first.abandon()
    let second = publisher()
    second.publish(targets[0]) { _ in }.report(.up)
    second.dropLeftovers(of: [targets[0]])
    try await eventually("the other one is gone") { (try? await observer.children("/svc/drop")) == [] }
    #expect(try await observer.children("/svc/keep")?.count == 1)
    // A stop that no server hears of is made up for by the next run.
    await server.kill()
    try await eventually("the connection is lost") { !second.isConnected }
    await second.close()
    #expect(try files().count == 1)
    try await server.start()
    let third = publisher()
    third.publish(targets[1]) { _ in }.report(.down)
    third.dropLeftovers(of: [targets[1]])
    try await eventually("nothing is left") { (try? await observer.children("/svc/keep")) == [] }
    await third.close()
    #expect(try files().isEmpty)
    await observer.close()
    await server.kill()
  }
}

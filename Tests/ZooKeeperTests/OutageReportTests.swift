import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

/// Keeps the errors that are logged.
struct ErrorLog: LogHandler {
  let lines: Locked<[String]>
  var metadata: Logger.Metadata = [:]
  var logLevel: Logger.Level = .error

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    let line = "\(event.message) \(event.metadata?["ensemble"] ?? "") \(event.metadata?["reason"] ?? "")"
    lines.withLock { $0.append(line) }
  }
}

@Suite @LoopActor struct OutageReportTests {
  @Test func anEnsembleThatIsNeverReachedIsNamedAtGrowingIntervals() async throws {
    let (lines, clock, port) = (Locked<[String]>([]), LoopClock.manual(), try freePort())
    let client = ZooKeeperClient(
      ensemble: try ServerList(["127.0.0.1:\(port)"]), clock: clock,
      logger: Logger(label: "test") { _ in ErrorLog(lines: lines) })
    client.start()
    let line =
      "ensemble not reached 127.0.0.1:\(port) cannot connect to 127.0.0.1:\(port): Connection refused"
    for (count, pause) in [5, 10, 20, 40].enumerated() {
      clock.advance(by: .seconds(pause) - .milliseconds(1))
      #expect(lines.withLock { $0.count } == count)
      clock.advance(by: .milliseconds(1))
      try await eventually("it is named again") { lines.withLock { $0.count } == count + 1 }
    }
    #expect(lines.withLock { Set($0) } == [line])
    await client.close()
    clock.advance(by: .seconds(1000))
    #expect(lines.withLock { $0.count } == 4)
  }

  @Test func anOutageIsNamedAndItsEndForgotten() async throws {
    try await withServer { world, server in
      let (lines, clock) = (Locked<[String]>([]), LoopClock.manual())
      let client = ZooKeeperClient(
        ensemble: try ServerList([server.connection]), clock: clock,
        logger: Logger(label: "test") { _ in ErrorLog(lines: lines) })
      client.start()
      try await connected(client)
      clock.advance(by: .seconds(60))
      #expect(lines.withLock { $0 } == [])
      await server.kill()
      try await eventually("the loss is noticed") { !client.isConnected }
      clock.advance(by: .seconds(5))
      try await eventually("it is named") { lines.withLock { $0.count } == 1 }
      try await server.start()
      try await connected(client)
      clock.advance(by: .seconds(60))
      #expect(lines.withLock { $0.count } == 1)
      await client.close()
      _ = world
    }
  }
}

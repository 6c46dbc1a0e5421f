import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import ZooKeeper

@Suite @LoopActor struct OutageReportTests {
  @Test func anEnsembleThatIsNeverReachedIsNamedAtGrowingIntervals() async throws {
    let (errors, clock, port) = (Journal(from: .error), LoopClock.manual(), try freePort())
    let client = ZooKeeperClient(
      ensemble: try ServerList(["127.0.0.1:\(port)"]), clock: clock,
      logger: errors.logger)
    client.start()
    let reason = "ensemble=127.0.0.1:\(port) reason=cannot connect to 127.0.0.1:\(port): Connection refused"
    for (count, pause) in [5, 10, 20, 40].enumerated() {
      clock.advance(by: .seconds(pause) - .milliseconds(1))
      #expect(errors.lines.count == count)
      clock.advance(by: .milliseconds(1))
      try await eventually("it is named again") { errors.lines.count == count + 1 }
    }
    #expect(errors.lines.allSatisfy { $0.hasPrefix("error ensemble not reached ") && $0.hasSuffix(reason) })
    await client.close()
    clock.advance(by: .seconds(1000))
    #expect(errors.lines.count == 4)
  }

  @Test func anOutageIsNamedAndItsEndForgotten() async throws {
    try await withServer { world, server in
      let (errors, clock) = (Journal(from: .error), LoopClock.manual())
      let client = ZooKeeperClient(
        ensemble: try ServerList([server.connection]), clock: clock,
        logger: errors.logger)
      client.start()
      try await connected(client)
      clock.advance(by: .seconds(60))
      #expect(errors.lines.isEmpty)
      await server.kill()
      try await eventually("the loss is noticed") { !client.isConnected }
      clock.advance(by: .seconds(5))
      try await eventually("it is named") { errors.lines.count == 1 }
      try await server.start()
      try await connected(client)
      clock.advance(by: .seconds(60))
      #expect(errors.lines.count == 1)
      await client.close()
      _ = world
    }
  }
}

import Reactor
import SmartStack
import Testing

@testable import Registry

/// A record that says what the test says.
@LoopActor private final class ScriptedRecord: RegistryRecord {
  let place = "/record"
  let isReachable = true
  private(set) var claim: RecordClaim?

  func add(_ claim: RecordClaim) { self.claim = claim }
  func remove(_ claim: RecordClaim) async -> Bool { true }
  func discardUnclaimed() {}
  func touch() {}
}

@Suite @LoopActor struct RegistrarTests {
  @Test func theTimeOfARegistrationCountsFromItsLoss() {
    let (clock, record, events) = (LoopClock.manual(), ScriptedRecord(), Events())
    let target = FileTarget(directory: "/r", name: "web@host1.json", data: [], renewal: nil)
    let registrar = Registrar(target: .file(target), record: record, clock: clock) { events.add($0) }
    registrar.report(.up)
    clock.advance(by: .seconds(1))
    record.claim?.onChange(.present(place: "/record"))
    clock.advance(by: .seconds(1000))
    record.claim?.onChange(.pending)
    clock.advance(by: .seconds(3))
    record.claim?.onChange(.failed(reason: "no"))
    record.claim?.onChange(.pending)
    record.claim?.onChange(.present(place: "/record"))
    #expect(
      events.all == [
        .registered(place: "/record", elapsed: .seconds(1)), .lost(place: "/record"),
        .refused(place: "/record", reason: "no"), .registered(place: "/record", elapsed: .seconds(3)),
      ])
  }
}

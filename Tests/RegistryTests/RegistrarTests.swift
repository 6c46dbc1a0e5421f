import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry

/// A record that says what the test says.
@LoopActor private final class ScriptedRecord: RegistryRecord {
  let place = "/record"
  let isReachable = true
  private(set) var claim: RecordClaim?

  func add(_ claim: RecordClaim) { self.claim = claim }
  /// Happens with the answer to a removal.
  let removal = OneShotEvent<Bool>()
  func remove(_ claim: RecordClaim) async -> Bool { (try? await removal.outcome().get()) ?? false }
  func settle() async {}
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

  @Test(arguments: [true, false]) func aRefusedRemovalIsSaidAndHoldsNobodyUp(_ isRemovedInTheEnd: Bool) async throws {
    let (record, events) = (ScriptedRecord(), Events())
    var isClosed = false
    let target = FileTarget(directory: "/r", name: "web@host1.json", data: [], renewal: nil)
    let registrar = Registrar(
      target: .file(target), record: record, clock: .manual(), observe: { events.add($0) },
      onClose: { isClosed = true })
    registrar.report(.up)
    record.claim?.onChange(.present(place: "/record"))
    let closing = Task.immediate { @LoopActor in await registrar.close() }
    #expect(!isClosed)
    for _ in 0..<3 { record.claim?.onChange(.failed(reason: "no")) }
    await closing.value
    #expect(isClosed)
    #expect(registrar.state == .failed(.down, reason: "no"))
    #expect(registrar.state.description == "cannot report down: no")
    #expect(events.refusals == 1)
    // Tried again for as long as somebody else uses the registry.
    record.removal.happen(with: isRemovedInTheEnd)
    await registrar.withdraw()
    try await eventually("its end is known") { registrar.state.isSettled == isRemovedInTheEnd }
    #expect(
      events.all.contains { if case .deregistered = $0 { true } else { false } } == isRemovedInTheEnd)
  }
}

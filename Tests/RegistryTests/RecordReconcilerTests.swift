import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry

/// A registry of one record that does what a test says, one request at a time.
@LoopActor private final class ScriptedRegistry {
  struct Refusal: Error {}

  /// What it holds.
  var content: String?
  /// What was asked of it, oldest first; a deletion is nil.
  private(set) var requests: [String?] = []
  /// Refuses so many of the next requests.
  var refusals = 0
  /// Answers only when ``answer()`` is called.
  var isSlow = false
  private(set) var mostAtOnce = 0
  private var open: [OneShotEvent<Void>] = []
  private var atOnce = 0

  /// A record that this registry holds.
  func record(clock: LoopClock) -> RecordReconciler {
    RecordReconciler(
      place: "/p", clock: clock,
      put: { [weak self] in try await self?.handle(String(decoding: $0, as: UTF8.self)) },
      delete: { [weak self] in try await self?.handle(nil) })
  }

  private func handle(_ wanted: String?) async throws {
    requests.append(wanted)
    atOnce += 1
    mostAtOnce = max(mostAtOnce, atOnce)
    if isSlow {
      let answer = OneShotEvent<Void>()
      open.append(answer)
      try await answer.wait()
    }
    atOnce -= 1
    if refusals > 0 {
      refusals -= 1
      throw Refusal()
    }
    content = wanted
  }

  var isAsked: Bool { !open.isEmpty }
  func answer() { if !open.isEmpty { open.removeFirst().happen() } }
}

@Suite @LoopActor struct RecordReconcilerTests {
  private let clock = LoopClock.manual()
  private let registry = ScriptedRegistry()
  private let record: RecordReconciler

  init() {
    record = registry.record(clock: clock)
  }

  private func claim(
    _ text: String, onChange: @escaping @LoopActor (RecordState) -> Void = { _ in }
  ) -> RecordClaim {
    let claim = RecordClaim(data: Array(text.utf8), onChange: onChange)
    record.add(claim)
    return claim
  }

  @Test func aClaimThatIsGivenUpIsToldWhyTheRecordStays() async throws {
    var states: [RecordState] = []
    let claim = claim("a") { states.append($0) }
    registry.refusals = 1
    let removal = Task.immediate { @LoopActor in await record.remove(claim) }
    #expect(states.count == 2)
    guard case .failed = states.last else { throw ScriptedRegistry.Refusal() }
    #expect(registry.content == "a")
    clock.advance(by: .seconds(10))
    #expect(await removal.value)
    await record.settle()
    #expect(registry.content == nil)
  }

  @Test func aRecordIsWrittenForItsFirstClaimAndRemovedWithItsLast() async {
    var states: [RecordState] = []
    let first = claim("a") { states.append($0) }
    #expect(states == [.present(place: "/p")])
    let second = claim("a") { states.append($0) }
    #expect(states == [.present(place: "/p"), .present(place: "/p")])
    #expect(await !record.remove(first))
    #expect(await record.remove(second))
    #expect(registry.requests == ["a", nil])
    #expect(registry.content == nil)
  }

  @Test func theLatestClaimsDataIsWritten() async {
    let old = claim("old")
    let new = claim("new")
    #expect(registry.content == "new")
    #expect(await !record.remove(new))
    #expect(registry.content == "old")
    #expect(await record.remove(old))
  }

  @Test func aRecordOfAnEarlierRunIsRemovedUnlessItIsClaimed() {
    registry.content = "left behind"
    record.discardUnclaimed()
    #expect(registry.content == nil)
    record.discardUnclaimed()
    #expect(registry.requests == [nil])
  }

  @Test func anAnswerToARequestFromBeforeALossIsVoid() async throws {
    registry.isSlow = true
    var states: [RecordState] = []
    let claim = claim("a") { states.append($0) }
    record.lost()
    registry.answer()
    try await eventually("it is written again") { registry.isAsked }
    #expect(!states.contains(.present(place: "/p")))
    registry.answer()
    try await eventually("and now it counts") { states.last == .present(place: "/p") }
    #expect(registry.requests == ["a", "a"])
    registry.isSlow = false
    #expect(await record.remove(claim))
  }

  @Test func aClaimDuringADeletionWaitsForIt() async throws {
    let first = claim("a")
    registry.isSlow = true
    let released = Task.immediate { await record.remove(first) }
    try await eventually("the deletion is under way") { registry.isAsked }
    var states: [RecordState] = []
    _ = claim("b") { states.append($0) }
    #expect(registry.requests == ["a", nil])
    registry.answer()
    try await eventually("the new one is written") { registry.isAsked }
    registry.answer()
    #expect(await released.value)
    try await eventually("the new one is there") { registry.content == "b" && !states.isEmpty }
    #expect(states == [.present(place: "/p")])
    #expect(registry.mostAtOnce == 1)
  }

  @Test func aRefusalIsRepeatedWithGrowingDelaysAndANewClaimAtOnce() async throws {
    registry.refusals = 3
    var states: [RecordState] = []
    _ = claim("a") { states.append($0) }
    #expect(registry.requests.count == 1)
    #expect(!record.isReachable)
    // Each delay is between half of its ceiling and all of it: 0.5 s, 1 s, 2 s.
    clock.advance(by: .milliseconds(249))
    #expect(registry.requests.count == 1)
    clock.advance(by: .milliseconds(251))
    #expect(registry.requests.count == 2)
    clock.advance(by: .milliseconds(249))
    #expect(registry.requests.count == 2)
    clock.advance(by: .milliseconds(751))
    #expect(registry.requests.count == 3)
    _ = claim("b")
    #expect(registry.requests == ["a", "a", "a", "b"])
    #expect(record.isReachable)
    #expect(states.last == .present(place: "/p"))
    clock.advance(by: .seconds(60))
    #expect(registry.requests.count == 4)
  }

  @Test func anAbandonedRecordStaysInTheRegistry() async throws {
    _ = claim("a")
    record.abandon()
    record.touch()
    record.lost()
    #expect(registry.requests == ["a"])
    #expect(registry.content == "a")
  }

  /// Whatever happens in whatever order, in the end the registry holds what is wanted, and it was never asked for two
  /// things at once.
  @Test func afterAnyOrderOfEventsTheRegistryHoldsTheLatestClaim() async throws {
    let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2000
    var random = SeededGenerator(seed: seed)
    for round in 0..<max(1, rounds / 10) {
      let (clock, registry) = (LoopClock.manual(), ScriptedRegistry())
      let record = registry.record(clock: clock)
      registry.isSlow = true
      registry.content = Bool.random(using: &random) ? "left behind" : nil
      var claims: [RecordClaim] = []
      for step in 0..<30 {
        switch Int.random(in: 0..<7, using: &random) {
        case 0:
          let claim = RecordClaim(data: Array("\(step)".utf8)) { _ in }
          claims.append(claim)
          record.add(claim)
        case 1 where !claims.isEmpty:
          let leaving = claims.remove(at: Int.random(in: claims.indices, using: &random))
          Task.immediate { _ = await record.remove(leaving) }
        case 2:
          registry.content = nil
          record.lost()
        case 3: registry.refusals = Int.random(in: 0...2, using: &random)
        case 4: clock.advance(by: .milliseconds(Int.random(in: 0...2000, using: &random)))
        case 5: record.discardUnclaimed()
        default: registry.answer()
        }
      }
      registry.isSlow = false
      registry.refusals = 0
      record.discardUnclaimed()
      let wanted = claims.last.map { String(decoding: $0.data, as: UTF8.self) }
      try await eventually("seed \(seed), round \(round): it holds \(wanted ?? "nothing")") {
        registry.answer()
        clock.advance(by: .seconds(20))
        return registry.content == wanted && !registry.isAsked
      }
      #expect(registry.mostAtOnce <= 1)
    }
  }
}

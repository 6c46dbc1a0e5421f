import Reactor
import Testing

@testable import Hacheck

@Suite struct CheckCacheTests {
  private static let key = CheckKey(protocol: .http, host: "127.0.0.1", port: 80, path: "status", service: "")

  /// A check that ends when the test says so.
  @LoopActor private final class Gate {
    private(set) var starts = 0
    private var answered = OneShotEvent<CheckOutcome>()

    func run() async -> CheckOutcome {
      starts += 1
      return (try? await answered.outcome().get()) ?? CheckOutcome(code: 599, "no answer")
    }

    func open(_ code: Int = 200, isConclusive: Bool = true) {
      answered.happen(with: CheckOutcome(code: code, body: Array("\(code)".utf8), isConclusive: isConclusive))
      answered = OneShotEvent()
    }
  }

  /// Joins and gives the outcome, as both faces of the service do.
  @LoopActor private static func ask(_ cache: CheckCache, _ gate: Gate, bust: Bool = false) async -> Int {
    if let kept = cache.answer(key, bust: bust) { return kept.code }
    let answered = OneShotEvent<Int>()
    cache.join(key, then: { answered.happen(with: $0.code) }, start: { await gate.run() })
    return (try? await answered.outcome().get()) ?? 0
  }

  @Test(arguments: [false, true]) @LoopActor func oneFlightServesAll(_ bust: Bool) async {
    let cache = CheckCache(lifetime: .seconds(10), capacity: 10, clock: .manual())
    let gate = Gate()
    let asked = (0..<200).map { _ in Task { @LoopActor in await CheckCacheTests.ask(cache, gate, bust: bust) } }
    while cache.statistics.gets < 200 { await Task.yield() }
    #expect(gate.starts == 1)
    #expect(cache.flightCount == 1)
    gate.open(404)
    for task in asked { #expect(await task.value == 404) }
    #expect(cache.flightCount == 0)
    #expect(cache.statistics == (expirations: 0, sets: 1, gets: 200, hits: 199, misses: 1))
  }

  @Test @LoopActor func whatCouldNotBeAskedIsNotKept() async {
    let cache = CheckCache(lifetime: .seconds(10), capacity: 10, clock: .manual())
    let gate = Gate()
    for starts in 1...2 {
      let asked = Task.immediate { @LoopActor in await CheckCacheTests.ask(cache, gate) }
      #expect(gate.starts == starts)
      gate.open(599, isConclusive: false)
      #expect(await asked.value == 599)
    }
    #expect(cache.count == 0)
  }

  @Test @LoopActor func answersAreKeptFromTheStartOfTheCheck() async {
    let clock = LoopClock.manual()
    let cache = CheckCache(lifetime: .seconds(10), capacity: 10, clock: clock)
    let gate = Gate()
    let first = Task.immediate { @LoopActor in await CheckCacheTests.ask(cache, gate) }
    clock.advance(by: .seconds(4))
    gate.open()
    #expect(await first.value == 200)
    clock.advance(by: .seconds(6))
    #expect(cache.answer(CheckCacheTests.key, bust: false)?.code == 200)
    clock.advance(by: .milliseconds(1))
    #expect(cache.answer(CheckCacheTests.key, bust: false) == nil)
    #expect(cache.statistics.expirations == 1)
  }

  @Test @LoopActor func whoBustsForgetsTheKeptAnswer() async {
    let cache = CheckCache(lifetime: .seconds(10), capacity: 10, clock: .manual())
    let gate = Gate()
    let first = Task.immediate { @LoopActor in await CheckCacheTests.ask(cache, gate) }
    gate.open(200)
    #expect(await first.value == 200)
    let second = Task.immediate { @LoopActor in await CheckCacheTests.ask(cache, gate, bust: true) }
    gate.open(503)
    #expect(await second.value == 503)
    #expect(await CheckCacheTests.ask(cache, gate) == 503)
    #expect(cache.statistics == (expirations: 1, sets: 2, gets: 3, hits: 1, misses: 2))
  }

  @Test @LoopActor func aLifetimeOfZeroKeepsNothing() async {
    let cache = CheckCache(lifetime: .zero, capacity: 10, clock: .manual())
    let gate = Gate()
    for starts in 1...2 {
      let asked = Task.immediate { @LoopActor in await CheckCacheTests.ask(cache, gate) }
      gate.open()
      _ = await asked.value
      #expect(gate.starts == starts)
    }
    #expect(cache.count == 0)
  }

  @Test @LoopActor func theCacheIsBoundedAndSwept() async {
    let clock = LoopClock.manual()
    let cache = CheckCache(lifetime: .seconds(10), capacity: 100, clock: clock)
    for port in 0..<1000 {
      let key = CheckKey(protocol: .tcp, host: "127.0.0.1", port: port, path: "", service: "")
      let answered = OneShotEvent<Void>()
      cache.join(key, then: { _ in answered.happen() }, start: { CheckOutcome(code: 200, body: []) })
      await answered.outcome()
    }
    #expect(cache.count == 100)
    clock.advance(by: .seconds(11))
    cache.sweep()
    #expect(cache.count == 0)
  }

  @Test(arguments: [
    (101, 200), (200, 200), (201, 201), (204, 204), (301, 301), (404, 404), (418, 418), (451, 451), (499, 503),
    (500, 500),
    (504, 504), (509, 503), (511, 511), (599, 503), (600, 503), (999, 503),
  ]) func codesBecomeStatuses(_ code: Int, _ status: Int) {
    #expect(CheckOutcome(code: code, body: []).status == status)
  }
}

@Suite struct CheckSlotsTests {
  private static let one = Endpoint.tcp(host: "127.0.0.1", port: 1)
  private static let other = Endpoint.tcp(host: "127.0.0.1", port: 2)

  @Test @LoopActor func aFullTargetDelaysNoOther() async {
    let clock = LoopClock.manual()
    let slots = CheckSlots(perTarget: 2, inAll: 100, clock: clock)
    for _ in 0..<2 { #expect(await slots.acquire(CheckSlotsTests.one, within: .seconds(1))) }
    let third = Task.immediate { @LoopActor in await slots.acquire(CheckSlotsTests.one, within: .seconds(1)) }
    #expect(slots.waitingCount == 1)
    #expect(await slots.acquire(CheckSlotsTests.other, within: .seconds(1)))
    slots.release(CheckSlotsTests.one)
    #expect(await third.value)
    #expect(slots.waitingCount == 0)
    #expect(slots.busyCount == 3)
  }

  @Test @LoopActor func whoWaitsTooLongGoesAway() async {
    let clock = LoopClock.manual()
    let slots = CheckSlots(perTarget: 1, inAll: 100, clock: clock)
    #expect(await slots.acquire(CheckSlotsTests.one, within: .seconds(1)))
    let second = Task.immediate { @LoopActor in await slots.acquire(CheckSlotsTests.one, within: .seconds(1)) }
    clock.advance(by: .seconds(1))
    #expect(await !second.value)
    slots.release(CheckSlotsTests.one)
    #expect(slots.busyCount == 0)
    #expect(await slots.acquire(CheckSlotsTests.one, within: .seconds(1)))
  }

  @Test @LoopActor func whenAllSlotsAreTakenTargetsTakeTurns() async {
    let slots = CheckSlots(perTarget: 2, inAll: 2, clock: .manual())
    for _ in 0..<2 { #expect(await slots.acquire(CheckSlotsTests.one, within: .seconds(1))) }
    var served: [String] = []
    func wait(_ target: Endpoint, _ name: String) -> Task<Void, Never> {
      Task.immediate { @LoopActor in
        if await slots.acquire(target, within: .seconds(1)) { served.append(name) }
      }
    }
    let tasks = [wait(CheckSlotsTests.one, "one"), wait(CheckSlotsTests.other, "other")]
    slots.release(CheckSlotsTests.one)
    await tasks[1].value
    #expect(served == ["other"])
    slots.release(CheckSlotsTests.other)
    await tasks[0].value
    #expect(served == ["other", "one"])
    #expect(slots.busyCount == 2)
  }

  /// Whatever the order of events, no slot is lost and no limit passed.
  @Test(arguments: [1, 2, 3]) @LoopActor func slotsAreNeverLost(_ seed: UInt64) async {
    var random = SeededGenerator(seed: seed)
    let clock = LoopClock.manual()
    let slots = CheckSlots(perTarget: 2, inAll: 5, clock: clock)
    var held: [Endpoint] = []
    for _ in 0..<5_000 {
      let target = Endpoint.tcp(host: "h", port: Int.random(in: 1...6, using: &random))
      switch Int.random(in: 0..<3, using: &random) {
      case 0:
        Task.immediate { @LoopActor in if await slots.acquire(target, within: .seconds(3)) { held.append(target) } }
      case 1: if !held.isEmpty { slots.release(held.remove(at: Int.random(in: held.indices, using: &random))) }
      default: clock.advance(by: .seconds(1))
      }
      await Task.yield()
      #expect(slots.busyCount <= 5)
    }
    clock.advance(by: .seconds(10))
    for _ in 0..<100 { await Task.yield() }
    #expect(slots.waitingCount == 0)
    #expect(slots.busyCount == held.count)
    while let target = held.popLast() { slots.release(target) }
    #expect(slots.busyCount == 0)
  }
}

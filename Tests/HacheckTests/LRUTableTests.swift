import Testing

@testable import Hacheck

@Suite struct LRUTableTests {
  @Test func theLeastRecentlyUsedGoesFirst() {
    var table = LRUTable<String, Int>(capacity: 3)
    for (number, name) in ["a", "b", "c"].enumerated() { table.set(name, to: number) }
    #expect(table.use("a") == 0)
    table.set("d", to: 3)
    #expect(table.peek("b") == nil)
    #expect(["a", "c", "d"].allSatisfy { table.peek($0) != nil })
    table.set("c", to: 9)
    table.set("e", to: 4)
    #expect(table.peek("a") == nil)
    #expect(table.peek("c") == 9)
    #expect(table.count == 3)
  }

  @Test func theBudgetIsKept() {
    var table = LRUTable<Int, String>(capacity: 100, budget: 10)
    for number in 0..<10 { table.set(number, to: "", cost: 4) }
    #expect(table.count == 2)
    #expect(table.cost == 8)
    table.set(99, to: "too dear", cost: 11)
    #expect(table.peek(99) == nil)
    table.set(8, to: "now dear", cost: 10)
    #expect(table.entries.map(\.key) == [8])
  }

  /// Against a plain list, with seeded operations.
  @Test(arguments: [1, 2, 3, 4, 5]) func behavesLikeAList(_ seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var table = LRUTable<Int, Int>(capacity: 8)
    var list: [(key: Int, value: Int)] = []
    for step in 0..<20_000 {
      let key = Int.random(in: 0..<16, using: &random)
      let known = list.firstIndex { $0.key == key }
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5:
        #expect(table.use(key) == known.map { list[$0].value })
        if let known { list.append(list.remove(at: known)) }
      case 5..<9:
        table.set(key, to: step)
        if let known { list.remove(at: known) }
        list.append((key, step))
        if list.count > 8 { list.removeFirst() }
      default:
        table.remove(key)
        if let known { list.remove(at: known) }
      }
    }
    #expect(table.count == list.count)
    for (key, value) in list { #expect(table.peek(key) == value) }
    table.removeAll { _ in true }
    #expect(table.count == 0)
  }

  @Test func theOldestGoWhileTheyAreStale() {
    var table = LRUTable<String, Int>(capacity: 10)
    for (number, name) in ["a", "b", "c", "d"].enumerated() { table.set(name, to: number) }
    _ = table.use("a")
    table.removeOldest { $0 < 3 }
    #expect(table.entries.map(\.key).sorted() == ["a", "d"], "a was used after d was set")
    table.removeOldest { _ in true }
    #expect(table.count == 0)
  }
}

/// The same numbers for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

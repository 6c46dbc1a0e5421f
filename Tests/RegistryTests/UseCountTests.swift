import Testing

@testable import Registry

@Suite struct UseCountTests {
  @Test func aValueIsMadeForItsFirstUserAndForgottenWithItsLast() {
    var counts = UseCount<String, Int>()
    var made = 0
    let make = { () -> Int in
      made += 1
      return made
    }
    #expect(counts.join("a", make: make) == 1)
    #expect(counts.join("a", make: make) == 1)
    #expect(counts.join("b", make: make) == 2)
    #expect(counts.leave("a") == nil)
    #expect(counts["a"] == 1)
    #expect(counts.leave("a") == 1)
    #expect(counts["a"] == nil)
    #expect(counts.leave("a") == nil)
    #expect(counts.join("a", make: make) == 3)
  }

  @Test func removingAllGivesEveryValueBack() {
    var counts = UseCount<String, Int>()
    _ = counts.join("a") { 1 }
    _ = counts.join("a") { 1 }
    _ = counts.join("b") { 2 }
    #expect(counts.removeAll() == ["a": 1, "b": 2])
    #expect(counts.values.isEmpty)
  }
}

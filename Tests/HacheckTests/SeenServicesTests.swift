import Testing

@testable import Hacheck

@Suite struct SeenServicesTests {
  @Test func whatNobodyAsksForIsForgotten() {
    var seen = SeenServices(capacity: 10, lifetime: 100)
    for (number, name) in ["a", "b", "c"].enumerated() { _ = seen.ask(name, peer: "p", time: Double(number)) }
    _ = seen.ask("a", peer: "p", time: 60)
    seen.sweep(now: 101.5)
    #expect(seen.accessCounts() == #"{"service_access_counts": {"a": {"p": 2}, "c": {"p": 1}}}"#)
    seen.sweep(now: 161)
    #expect(seen.count == 0)
  }

  @Test func theLeastRecentlyAskedForMakeRoom() {
    var seen = SeenServices(capacity: 2)
    for name in ["a", "b", "a", "c"] { _ = seen.ask(name, peer: "p", time: 1) }
    #expect(seen.accessCounts() == #"{"service_access_counts": {"a": {"p": 2}, "c": {"p": 1}}}"#)
  }

  @Test func askersPastTheLimitAreCountedTogether() {
    var seen = SeenServices(capacity: 2)
    for number in 0..<100 { _ = seen.ask("a", peer: "10.0.0.\(number)", time: 1) }
    _ = seen.ask("a", peer: "10.0.0.0", time: 1)
    let text = seen.accessCounts()
    #expect(text.contains(#""10.0.0.0": 2"#))
    #expect(text.contains(#""other": 36"#))
  }
}

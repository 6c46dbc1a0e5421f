import Reactor
import Testing

@testable import HAProxyRuntime

@Suite("old workers") struct OldWorkerTests {
  @Test("an old worker's age counts from its successor's start") func ageCountsFromTheSuccessor() {
    func process(_ pid: Int32, _ start: Int) -> ProcessRecord {
      ProcessRecord(pid: pid, parent: 1, name: "haproxy", startTicks: start)
    }
    let ticks = Int(ProcessRecord.ticksPerSecond)
    let found = OldWorker.aged(
      [process(2, 10 * ticks), process(3, 40 * ticks)], current: process(4, 50 * ticks), now: 60 * ticks)
    #expect(found.map(\.process.pid) == [3, 2])
    #expect(found.map(\.age) == [.seconds(10), .seconds(20)])
  }

  private static let verdicts: [(limits: WorkerLimits, verdicts: String)] = [
    (WorkerLimits(count: nil, age: nil), "...."), (WorkerLimits(count: 2, age: nil), "..cc"),
    (WorkerLimits(count: 0, age: nil), "cccc"), (WorkerLimits(count: nil, age: .seconds(30)), "..aa"),
    (WorkerLimits(count: 1, age: .seconds(31)), ".cca"),
  ]

  @Test("the oldest and those beyond the count exceed the limits", arguments: verdicts)
  func limitsAreExceeded(limits: WorkerLimits, verdicts: String) {
    // The n-th was replaced so many seconds ago.
    let seen = [10, 20, 30, 40].enumerated().map { limits.excess(index: $0.offset, age: .seconds($0.element)) }
    #expect(seen.map { $0.map { String($0.prefix(1)) } ?? "." }.joined() == verdicts)
  }
}

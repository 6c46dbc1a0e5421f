import Reactor
import TestSupport
import Testing

@testable import SynapseAgent

/// When HAProxy is asked again about what it refused.
@Suite("another chance") struct RefusalRetryTests {
  @Test("after a minute, then at intervals that double up to half an hour; something new begins anew") func intervals()
  {
    var retry = RefusalRetry()
    var now = ContinuousClock.now
    let refused = Set(["frobnicate unknown keyword"])
    func isDue(_ texts: Set<String>, after seconds: Int = 0) -> Bool {
      retry.isDue(refused: texts, now: now + .seconds(seconds))
    }
    #expect([isDue([]), isDue(refused)] == [false, false])
    for expected in [60, 120, 240, 480, 960, 1800, 1800] {
      #expect([isDue(refused, after: expected - 1), isDue(refused, after: expected)] == [false, true])
      now += .seconds(expected)
      retry.recordAttempt(refused: refused, now: now)
    }
    let other = refused.union(["shiny unknown keyword"])
    #expect([isDue(other), isDue(other, after: 60), isDue([], after: 60)] == [false, true, false])
  }

  @Test("at once when a file that is named comes, changes or goes") func files() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/list"
    var retry = RefusalRetry()
    let now = ContinuousClock.now
    for refused in ["acl x src -f \(path)", "use-server unable to open '\(path)'."].map({ Set([$0]) }) {
      func isDue() -> Bool { retry.isDue(refused: refused, now: now) }
      #expect([isDue()] == [false])
      for step in 0..<3 {
        if step < 2 {
          try Files.write(Array("\(step)".utf8), to: path, mode: 0o644, sync: false)
        } else {
          try Files.remove(path)
        }
        let before = isDue()
        retry.recordAttempt(refused: refused, now: now)
        #expect([before, isDue()] == [true, false], "\(step)")
      }
    }
  }
}

import SmartStack
import Testing

@testable import OperatorTools

@Suite struct NerveStatusTableTests {
  @Test(arguments: [(0.0, "0s"), (59.9, "59s"), (61, "1m1s"), (3600, "1h0m"), (90_061, "1d1h"), (-5, "0s")])
  func agesAreShort(_ seconds: Double, _ text: String) { #expect(NerveStatus.age(seconds) == text) }

  @Test func problemsComeFirst() {
    let status: JSONValue = [
      "version": "1.2", "pid": 7, "connected": false, "hacheck": true,
      "services": [
        [
          "name": "a", "state": "up", "since": 40, "place": "/p/a_1",
          "checks": [["name": "http-a", "detail": "HTTP 200", "elapsed": .number("0.0021")]],
        ],
        ["name": "b", "state": "down", "since": 90, "drained": true, "registration": "reported down", "checks": []],
        ["name": "c", "state": "unknown", "registration": "nothing reported", "checks": []],
      ],
    ]
    #expect(
      NerveStatus.table(of: status, now: 100) == """
        nerve 1.2, pid 7: 1 of 3 services up, registry not connected
        SERVICE  STATE    SINCE  REGISTRATION      CHECKS
        b        drained  10s    reported down
        c        unknown  -      nothing reported
        a        up       1m0s   /p/a_1            http-a: HTTP 200 in 2 ms

        """)
  }
}

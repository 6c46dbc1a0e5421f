import SmartStack
import Testing

@testable import Registry
@testable import SynapseAgent

@Suite("backend policy") struct BackendPolicyTests {
  private let start = ContinuousClock.now

  private func backend(_ name: String, id: Int? = nil, labels: Labels? = nil) -> Backend {
    Backend(name: name, host: "10.0.0.1", port: 80, id: id, labels: labels)
  }

  private func names(_ policy: BackendPolicy) -> String {
    policy.backends.map { $0.name ?? "-" }.joined()
  }

  /// Readings as words of one-letter servers, `.` for none, with the seconds before each.
  struct Case: Sendable, CustomTestStringConvertible {
    var name: String
    var readings: [(after: Int, servers: String)]
    var offered: [String]
    var change: @Sendable (inout BackendPolicy.Rules) -> Void = { _ in }
    var testDescription: String { name }
  }

  static let cases = [
    Case(name: "what is read is offered", readings: [(0, "ab"), (1, "bc")], offered: ["ab", "bc"]),
    Case(name: "an empty registry leaves the last servers", readings: [(0, "ab"), (60, ".")], offered: ["ab", "ab"]),
    Case(
      name: "servers that vanish one by one are taken for one disappearance",
      readings: [(0, "abc"), (60, "bc"), (1, "c"), (1, ".")], offered: ["abc", "bc", "c", "abc"]),
    Case(
      name: "a slow shrinking is meant", readings: [(0, "abc"), (60, "bc"), (60, "c"), (60, ".")],
      offered: ["abc", "bc", "c", "c"]),
    Case(
      name: "what came between was meant", readings: [(0, "abc"), (60, "bc"), (1, "bcd"), (1, "d"), (1, ".")],
      offered: ["abc", "bc", "bcd", "d", "bcd"]),
    Case(
      name: "without previous servers an empty registry is empty", readings: [(0, "ab"), (60, "."), (1, "a")],
      offered: ["ab", "", "a"], change: { $0.usesPreviousBackends = false }),
    Case(
      name: "default servers go before previous ones", readings: [(0, "ab"), (60, "."), (1, "a")],
      offered: ["ab", "d", "a"], change: { $0.defaultServers = [Backend(name: "d", host: "10.9.9.9", port: 1)] }),
    Case(
      name: "default servers beside the registry's", readings: [(0, "ab"), (60, ".")], offered: ["abd", "d"],
      change: {
        $0.defaultServers = [Backend(name: "d", host: "10.9.9.9", port: 1)]
        $0.keepsDefaultServers = true
      }),
    Case(name: "the same server twice is one", readings: [(0, "aa")], offered: ["a"]),
    Case(name: "nothing ever read is nothing", readings: [(0, ".")], offered: [""]),
  ]

  @Test("after a lost connection most servers are preserved until the time is over")
  func preserved() {
    var policy = BackendPolicy(BackendPolicy.Rules())
    let all = ["a", "b", "c", "d"].map { backend($0) }
    func apply(_ names: String, isSettling: Bool, after delay: Duration = .zero) -> [BackendPolicy.Note] {
      policy.apply(names.map { backend(String($0)) }, isSettling: isSettling, now: start + delay)
    }
    // Nothing was there before: nothing is kept, and others are told that this is not all.
    #expect(apply("", isSettling: true).isEmpty && policy.backends.isEmpty && !policy.hasSettled)
    _ = policy.apply(all, now: start)
    #expect(policy.hasSettled)
    // Half of them may go at any time.
    #expect(apply("ab", isSettling: true).isEmpty && names(policy) == "ab")
    #expect(apply("a", isSettling: true, after: .seconds(10)) == [.preserved(1)] && names(policy) == "ab")
    // Those that went a moment before went with the rest.
    _ = policy.apply(all, now: start)
    #expect(apply("ab", isSettling: true).isEmpty && names(policy) == "ab")
    #expect(apply("a", isSettling: true, after: .seconds(1)) == [.preserved(3)] && names(policy) == "abcd")
    _ = policy.apply(all, now: start)
    #expect(apply("a", isSettling: true) == [.preserved(3)] && names(policy) == "abcd")
    #expect(apply("", isSettling: true).isEmpty && names(policy) == "abcd")
    #expect(apply("e", isSettling: true).isEmpty && names(policy) == "eabcd")
    #expect(apply("cde", isSettling: true) == [.released(3)] && names(policy) == "cde")
    #expect(apply("e", isSettling: true) == [.preserved(2)])
    #expect(apply("e", isSettling: false) == [.released(1)] && names(policy) == "e")
  }

  @Test("registrations of one host and port that differ are named, those that agree or differ in labels are not")
  func conflicts() {
    var policy = BackendPolicy(BackendPolicy.Rules())
    let plain = backend("a", id: 1)
    var other = backend("a", id: 2, labels: ["region:r1": ""])
    _ = policy.apply([plain, other, Backend(name: "a", host: "10.0.0.1", port: 81)], now: start)
    #expect(policy.conflicts.isEmpty && policy.backends.count == 2)
    other.haproxyServerOptions = "maxconn 7"
    _ = policy.apply([plain, other, backend("b")], now: start)
    #expect(policy.backends.map(\.id) == [2, nil])
    #expect(
      policy.conflicts.map(\.message) == [
        "10.0.0.1:80 is registered twice, with options none and maxconn 7; the newer counts",
        "10.0.0.1:80 is registered twice, with name a and b, options maxconn 7 and none; both are servers",
      ])
    #expect(policy.conflicts.map(\.server) == ["a_10.0.0.1:80", "a_10.0.0.1:80"])
    _ = policy.apply([plain], now: start)
    #expect(policy.conflicts.isEmpty)
  }

  @Test("readings", arguments: cases) func readingsBecomeBackends(_ c: Case) {
    var rules = BackendPolicy.Rules()
    c.change(&rules)
    var policy = BackendPolicy(rules)
    var now = start
    var offered: [String] = []
    for (after, servers) in c.readings {
      now += .seconds(after)
      _ = policy.apply(servers == "." ? [] : servers.map { backend(String($0)) }, now: now)
      offered.append(names(policy))
    }
    #expect(offered == c.offered)
  }

  @Test func portsAreOverriddenButNotTheDefaults() {
    var rules = BackendPolicy.Rules()
    rules.portOverride = 9999
    rules.defaultServers = [Backend(host: "10.9.9.9", port: 1)]
    var policy = BackendPolicy(rules)
    #expect(policy.backends.map(\.port) == [1])
    _ = policy.apply([backend("a")], now: start)
    #expect(policy.backends.map(\.port) == [9999])
  }

  struct FilterCase: Sendable {
    var condition: LabelFilter.Condition
    var value: LabelValue?
    var passing: String
  }

  static let filters = [
    FilterCase(condition: .equals, value: "1", passing: "a"),
    FilterCase(condition: .equals, value: .json("1"), passing: "n"),
    FilterCase(condition: .equals, value: "", passing: "e"),
    FilterCase(condition: .equals, value: nil, passing: "du"),
    FilterCase(condition: .equals, value: .json("null"), passing: "du"),
    FilterCase(condition: .notEquals, value: "1", passing: "ndue"),
  ]

  @Test("label filters compare values and their types", arguments: filters) func filtersCompareTypes(_ c: FilterCase) {
    var rules = BackendPolicy.Rules()
    rules.labelFilters = [LabelFilter(label: "az", value: c.value, condition: c.condition)]
    var policy = BackendPolicy(rules)
    let servers = [
      backend("a", labels: ["az": "1"]), backend("n", labels: ["az": .json("1")]), backend("d"),
      backend("u", labels: ["az": .json("null")]), backend("e", labels: ["az": ""]),
    ].enumerated().map { index, server in
      var server = server
      server.port = 100 + index
      return server
    }
    _ = policy.apply(servers, now: start)
    #expect(names(policy) == c.passing)
  }

  /// One task, advertised in two places whose ensembles are one.
  @Test(arguments: [[1, 2], [2, 1]]) func aServerRegisteredInTwoPlacesIsFoundInEither(_ ids: [Int]) {
    let servers = [
      backend("a", id: ids[0], labels: ["region:here": ""]), backend("a", id: ids[1], labels: ["region:far": ""]),
    ]
    for label in ["region:here", "region:far"] {
      var rules = BackendPolicy.Rules()
      rules.labelFilters = [LabelFilter(label: label, value: "")]
      var policy = BackendPolicy(rules)
      _ = policy.apply(servers, now: start)
      #expect(policy.backends.map(\.labels) == [[label: ""]])
    }
    var policy = BackendPolicy(BackendPolicy.Rules())
    _ = policy.apply(servers, now: start)
    #expect(policy.backends.map(\.id) == [2])
  }

  @Test func theLowestNumberLeads() {
    var rules = BackendPolicy.Rules()
    rules.electsLeader = true
    var policy = BackendPolicy(rules)
    _ = policy.apply([backend("b", id: 7), backend("a", id: 9), backend("c", id: 12)], now: start)
    #expect(names(policy) == "b")
    #expect(policy.electionProblem == nil)
    _ = policy.apply([backend("b", id: 7), backend("a")], now: start)
    #expect(names(policy) == "")
    #expect(policy.electionProblem == .noLeader(reason: "not every registration has a sequence number"))
  }
}

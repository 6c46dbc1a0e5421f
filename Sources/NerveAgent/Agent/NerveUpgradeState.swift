internal import AgentKit
internal import Reactor
internal import SmartStack

/// Part of an ``InPlaceUpgradeState`` that is nerve's: the checks' histories, its sessions, and the sockets that hacheck
/// listens on.
@LoopActor struct NerveUpgradeState {
  private static let listener = "hacheck"

  /// By service, see ``remember(_:)``.
  private var services = JSONObject()
  /// See `RegistrationPublisher.handover`; for hosts whose `state_dir` cannot be used.
  private(set) var sessions: [String: String] = [:]
  /// hacheck's listening sockets, and the address and ports they are bound to.
  var listeners: (descriptors: [Int32], place: String) = ([], "")

  /// Creates the state of a running agent.
  init(sessions: [String: String]) { self.sessions = sessions }

  /// Reads what the program before this one handed over.
  init(_ state: InPlaceUpgradeState) {
    services = state.notes["services"]?.object ?? JSONObject()
    for (ensemble, text) in state.notes["sessions"]?.object?.members ?? [] { sessions[ensemble] = text.string }
    let names = state.descriptors.keys.filter { $0.hasPrefix(NerveUpgradeState.listener) }.sorted()
    listeners = (names.compactMap { state.descriptors[$0] }, state.notes["hacheck"]?.string ?? "")
  }

  /// Adds what the next program receives.
  func add(to state: inout InPlaceUpgradeState) {
    for (index, descriptor) in listeners.descriptors.enumerated() {
      state.descriptors["\(NerveUpgradeState.listener)\(index)"] = descriptor
    }
    var sessions = JSONObject()
    for (ensemble, text) in self.sessions { sessions[ensemble] = .string(text) }
    state.notes["services"] = .object(services)
    state.notes["sessions"] = .object(sessions)
    state.notes["hacheck"] = .string(listeners.place)
  }

  /// Keeps what the checks of a service have seen.
  mutating func remember(_ runner: ServiceRunner) {
    let checks = runner.memories.map { memory -> JSONValue in
      [
        "run": .int(memory.run), "passed": memory.lastPassed.map(JSONValue.bool) ?? .null,
        "verdict": memory.verdict.map { .string($0.rawValue) } ?? .null,
      ]
    }
    services[runner.configuration.name] = [
      "target": .string(NerveUpgradeState.target(runner.configuration)), "checks": .array(checks),
    ]
  }

  /// What the checks of a service had seen; nil when it is not the same service any more.
  func memories(of service: ServiceConfiguration) -> [CheckHistory.Memory]? {
    guard let entry = services[service.name], entry["target"]?.string == NerveUpgradeState.target(service),
      let checks = entry["checks"]?.array, checks.count == service.checks.count
    else { return nil }
    return checks.map { check in
      var memory = CheckHistory.Memory()
      memory.run = check["run"]?.int ?? 0
      memory.lastPassed = check["passed"]?.bool
      memory.verdict = check["verdict"]?.string.flatMap(Verdict.init)
      return memory
    }
  }

  /// What must be the same for a verdict to hold: where the service is, and what is asked.
  private static func target(_ service: ServiceConfiguration) -> String {
    (["\(service.host):\(service.port)"] + service.checks.map(\.name)).joined(separator: " ")
  }
}

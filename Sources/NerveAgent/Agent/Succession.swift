internal import AgentKit
internal import Reactor
internal import SmartStack

/// What one nerve tells the next one in its process: what its checks have seen, which sessions are its own, and
/// which sockets hacheck listens on.
@LoopActor struct Succession {
  private static let lock = "lock"
  private static let listener = "hacheck"

  /// By service, see ``remember(_:)``.
  private var services = JSONObject()
  /// `SavedSession.text` by ensemble; for hosts whose `state_dir` cannot be used.
  private(set) var sessions: [String: String] = [:]
  /// hacheck's listening sockets, and the address and ports they are bound to.
  private(set) var listeners: (descriptors: [Int32], place: String) = ([], "")
  private(set) var lock: Int32?

  /// What an agent leaves that runs.
  init(sessions: [String: String], lock: Int32?) {
    self.sessions = sessions
    self.lock = lock
  }

  /// What the program before this one left.
  init(_ handover: Handover) {
    services = handover.notes["services"]?.object ?? JSONObject()
    for (ensemble, text) in handover.notes["sessions"]?.object?.members ?? [] { sessions[ensemble] = text.string }
    let names = handover.descriptors.keys.filter { $0.hasPrefix(Succession.listener) }.sorted()
    listeners = (names.compactMap { handover.descriptors[$0] }, handover.notes["hacheck"]?.string ?? "")
    lock = handover.descriptors[Succession.lock]
  }

  /// The same as the next program gets it.
  var handover: Handover {
    var handover = Handover()
    for (index, descriptor) in listeners.descriptors.enumerated() {
      handover.descriptors["\(Succession.listener)\(index)"] = descriptor
    }
    handover.descriptors[Succession.lock] = lock
    var sessions = JSONObject()
    for (ensemble, text) in self.sessions { sessions[ensemble] = .string(text) }
    handover.notes = [
      "services": .object(services), "sessions": .object(sessions), "hacheck": .string(listeners.place),
    ]
    return handover
  }

  // MARK: hacheck

  /// Hands hacheck's sockets over.
  mutating func leave(listeners descriptors: [Int32], at place: String) { listeners = (descriptors, place) }

  // MARK: What the checks have seen

  /// Keeps what the checks of a service have seen.
  mutating func remember(_ runner: ServiceRunner) {
    let checks = runner.memories.map { memory -> JSONValue in
      [
        "run": .int(memory.run), "passed": memory.lastPassed.map(JSONValue.bool) ?? .null,
        "verdict": memory.verdict.map { .string($0.rawValue) } ?? .null,
      ]
    }
    services[runner.configuration.name] = [
      "target": .string(Succession.target(runner.configuration)), "checks": .array(checks),
    ]
  }

  /// What the checks of a service had seen; nil when it is not the same service any more.
  func memories(of service: ServiceConfiguration) -> [CheckHistory.Memory]? {
    guard let entry = services[service.name], entry["target"]?.string == Succession.target(service),
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

internal import AgentKit
internal import HAProxyConfigGen
internal import Reactor
internal import SmartStack

/// Part of an `InPlaceUpgradeState` that is synapse's: the servers' ids, and how long the next reload has to wait.
/// Everything else is in HAProxy, its file and the registry.
struct SynapseUpgradeState: Sendable {
  /// In the state file's form; nil: there is no HAProxy to be kept.
  var memory: [UInt8]?
  /// Zero: a reload needs not wait.
  var reloadDelay: Duration = .zero

  /// Creates the state of an agent without HAProxy.
  init() {}

  /// Creates the state of an agent that keeps a HAProxy.
  @LoopActor init(of output: HAProxyOutput) {
    memory = output.wanted.stateFile()
    reloadDelay = output.reloads.delay
  }

  /// Reads what the program before this one handed over; a part that cannot be read is missing.
  init(_ state: InPlaceUpgradeState) {
    memory = state.notes["memory"]?.string.map { Array($0.utf8) }
    reloadDelay = .milliseconds(max(0, state.notes["reload_delay_ms"]?.int ?? 0))
  }

  /// Adds what the next program receives.
  func add(to state: inout InPlaceUpgradeState) {
    state.notes["memory"] = memory.map { .string(String(decoding: $0, as: UTF8.self)) }
    state.notes["reload_delay_ms"] = .int(Int(reloadDelay / .milliseconds(1)))
  }
}

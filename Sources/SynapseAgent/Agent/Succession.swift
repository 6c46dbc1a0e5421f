internal import AgentKit
internal import HAProxyConfigGen
internal import Reactor
internal import SmartStack

/// What one synapse tells the next one in its process, besides its lock: which ids servers have, and how long the next
/// reload has to wait. Everything else is in HAProxy, its file and the registry.
public struct Succession: Sendable {
  /// In the state file's form; nil: there is no HAProxy to be kept.
  var memory: [UInt8]?
  /// Zero: a reload needs not wait.
  var reloadDelay: Duration = .zero

  /// Of an agent that has nothing to tell.
  init() {}

  /// What the program before this one left; a part that cannot be read is missing.
  @LoopActor init(_ handover: Handover) {
    memory = handover.notes["memory"]?.string.map { Array($0.utf8) }
    reloadDelay = .milliseconds(max(0, handover.notes["reload_delay_ms"]?.int ?? 0))
  }

  /// The same as the next program gets it.
  /// - Parameter lock: the locked descriptor, if there is one.
  @LoopActor func handover(lock: Int32?) -> Handover {
    var handover = Handover()
    handover.descriptors["lock"] = lock
    handover.notes["memory"] = memory.map { .string(String(decoding: $0, as: UTF8.self)) }
    handover.notes["reload_delay_ms"] = .int(Int(reloadDelay / .milliseconds(1)))
    return handover
  }
}

extension HAProxyOutput {
  /// What the next program is to know.
  var succession: Succession {
    var succession = Succession()
    succession.memory = model.stateFile(now: Int(clock.unixTime))
    succession.reloadDelay = schedule.delay(now: clock.now)
    return succession
  }

  /// Takes what the program before this one knew.
  func inherit(_ succession: Succession) { schedule.wait(succession.reloadDelay, now: clock.now) }
}

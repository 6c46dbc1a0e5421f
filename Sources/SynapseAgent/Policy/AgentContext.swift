internal import AgentKit
internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// The surroundings of the agent's watchers and outputs.
struct AgentContext {
  let readers: ZooKeeperReaders
  let clock: LoopClock
  let logger: Logger
  let metrics: Metrics
  /// Upstream's metrics; nil: nobody receives them.
  let statsd: StatsD?
}

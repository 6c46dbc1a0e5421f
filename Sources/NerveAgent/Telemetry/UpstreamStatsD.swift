internal import AgentKit
internal import Reactor
internal import Registry
internal import SmartStack

/// Upstream's metrics, by its names and tags, pushed to statsd if the configuration has `statsd`.
///
/// Dashboards are built on these names: they are a contract. Metrics of machinery that no longer exists
/// (threads that die, a main loop that takes time) are not sent.
@LoopActor struct UpstreamStatsD {
  /// The receiver; nil sends nothing.
  var receiver: StatsD?

  // MARK: The agent

  func started() { receiver?.increment("nerve.start", tags: []) }
  func configurationLoaded() { receiver?.increment("nerve.config.update", tags: []) }
  func stopped() { receiver?.increment("nerve.stop", tags: ["stop_avenue:clean", "stop_location:main_loop"]) }

  // MARK: Watchers

  func launched(_ service: String, reason: String) {
    receiver?.increment("nerve.watcher.launch", tags: ["launch_reason:\(reason)", "watcher_name:\(service)"])
  }

  func reaped(_ service: String, reason: String) {
    receiver?.increment("nerve.watcher.reap", tags: ["reap_reason:\(reason)", "watcher_name:\(service)"])
  }

  func watching(_ service: String) { receiver?.increment("nerve.watcher.start", tags: ["service_name:\(service)"]) }

  func stoppedWatching(_ service: String) {
    receiver?.increment(
      "nerve.watcher.stop", tags: ["stop_avenue:clean", "stop_location:main_loop", "service_name:\(service)"])
  }

  func pinged(_ service: String, success: Bool) {
    receiver?.increment(
      "nerve.watcher.status.ping.count",
      tags: [
        "ping_result:\(success ? "success" : "fail")", "service_name:\(service)", "nerve_version:\(Release.version)",
      ])
  }

  func checked(_ service: String, by check: String, passed: Bool) {
    receiver?.increment(
      "nerve.watcher.status.service_check",
      tags: ["check_result:\(passed ? "up" : "down")", "service_name:\(service)", "check_name:\(check)"])
  }

  func throttled(_ service: String, isShadow: Bool) {
    receiver?.increment("nerve.watcher.throttled", tags: ["service_name:\(service)", "shadow_mode:\(isShadow)"])
  }

  func transition(_ service: String, to verdict: Verdict) {
    receiver?.increment("nerve.watcher.status.transition", tags: ["new_status:\(verdict)", "service_name:\(service)"])
  }

  func reported(_ service: String, success: Bool) {
    receiver?.increment(
      "nerve.watcher.status.report.count",
      tags: ["report_result:\(success ? "success" : "fail")", "service_name:\(service)"])
  }

  // MARK: ZooKeeper

  func clientTaken(of target: ZooKeeperTarget, isNew: Bool) {
    receiver?.increment(
      isNew ? "nerve.reporter.zk.client.created" : "nerve.reporter.zk.client.reused",
      tags: ["zk_cluster:\(target.cluster)"])
  }

  func created(_ target: ZooKeeperTarget, elapsed: Duration) {
    receiver?.timing(
      "nerve.reporter.zk.create.elapsed_time", elapsed: elapsed,
      tags: ["zk_cluster:\(target.cluster)", "zk_path:\(target.directory)"])
  }

  func deleted(_ target: ZooKeeperTarget, elapsed: Duration) {
    receiver?.timing("nerve.reporter.zk.delete.elapsed_time", elapsed: elapsed, tags: ["zk_cluster:\(target.cluster)"])
  }

  func renewed(_ target: ZooKeeperTarget, success: Bool) {
    let result = success ? ["result:success"] : ["result:fail", "reason:connection_error"]
    receiver?.increment("nerve.reporter.zk.ttl.renew", tags: ["zk_cluster:\(target.cluster)"] + result)
  }

  /// The length of a payload that is to become part of the node's name.
  func encoded(_ target: ZooKeeperTarget, bytes: Int) {
    receiver?.gauge(
      "nerve.reporter.zk.child.bytes", value: Double(bytes),
      tags: ["zk_cluster:\(target.cluster)", "zk_path:\(target.directory)"])
  }
}

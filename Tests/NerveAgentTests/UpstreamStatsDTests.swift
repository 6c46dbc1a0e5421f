import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent

/// The datagrams of a whole agent: dashboards are built on these names and tags.
@Suite @LoopActor struct UpstreamStatsDTests {
  @Test func datagramsHaveUpstreamsNamesTagsAndNumber() async throws {
    try await withWorld { world in
      let datagrams = Datagrams()
      let target = try world.target()
      let limit = #", "use_path_encoding": true, "rate_limiting": {"average_rate": 0.001, "max_burst": 1}"#
      world.configure(
        world.service("web", check: world.http(target), more: limit),
        world.service("kept", more: #", "node_type": "persistent", "ttl_seconds": 0.1"#),
        more: #", "statsd": {"host": "127.0.0.1", "port": \#(datagrams.port)}"#)
      let agent = try world.agent()
      let port = world.server.port
      try await datagrams.see([
        "nerve.config.update:1|c", "nerve.start:1|c", "nerve.watcher.launch:1|c|#launch_reason:new,watcher_name:web",
        "nerve.watcher.start:1|c|#service_name:web",
        "nerve.reporter.zk.client.created:1|c|#zk_cluster:127.0.0.1:\(port)",
        "nerve.reporter.zk.client.reused:1|c|#zk_cluster:127.0.0.1:\(port)",
        "nerve.reporter.zk.child.bytes:64|g|#zk_cluster:127.0.0.1:\(port),zk_path:/nerve/web",
        "nerve.watcher.status.ping.count:1|c|#ping_result:success,service_name:web,nerve_version:\(Release.version)",
        "nerve.watcher.status.service_check:1|c|#check_result:up,service_name:web,"
          + "check_name:http-127.0.0.1:\(target.port)/status",
        "nerve.watcher.status.transition:1|c|#new_status:up,service_name:web",
        "nerve.watcher.status.report.count:1|c|#report_result:success,service_name:web",
        "nerve.reporter.zk.create.elapsed_time:N|ms|#zk_cluster:127.0.0.1:\(port),zk_path:/nerve/web",
        "nerve.reporter.zk.ttl.renew:1|c|#zk_cluster:127.0.0.1:\(port),result:success",
      ])
      target.status = 500
      try await datagrams.see([
        "nerve.watcher.status.transition:1|c|#new_status:down,service_name:web",
        "nerve.watcher.throttled:1|c|#service_name:web,shadow_mode:true",
        "nerve.reporter.zk.delete.elapsed_time:N|ms|#zk_cluster:127.0.0.1:\(port)",
      ])
      // One report for "up", one for "down".
      let report = "nerve.watcher.status.report.count:1|c|#report_result:success,service_name:web"
      try await eventually("both reports are counted: \(datagrams.count(of: report))") {
        datagrams.count(of: report) == 2
      }
      world.configure(
        world.service("kept"), more: #", "statsd": {"host": "127.0.0.1", "port": \#(datagrams.port)}"#)
      await agent.reload()
      try await datagrams.see([
        "nerve.watcher.reap:1|c|#reap_reason:old,watcher_name:web",
        "nerve.watcher.launch:1|c|#launch_reason:update,watcher_name:kept",
        "nerve.watcher.reap:1|c|#reap_reason:update,watcher_name:kept",
        "nerve.watcher.stop:1|c|#stop_avenue:clean,stop_location:main_loop,service_name:web",
      ])
      await agent.stop()
      try await datagrams.see(["nerve.stop:1|c|#stop_avenue:clean,stop_location:main_loop"])
    }
  }
}

/// Counts the datagrams that arrive at a port.
@LoopActor private final class Datagrams {
  private let receiver = UDPReceiver()
  private var seen: [String: Int] = [:]

  var port: Int { receiver.port }

  /// How often this datagram has come so far.
  func count(of datagram: String) -> Int {
    while let text = receiver.receive() { seen[Datagrams.withoutFigures(text), default: 0] += 1 }
    return seen[datagram] ?? 0
  }

  /// Waits until each of these has come.
  func see(_ wanted: [String]) async throws {
    try await eventually("missing: \(wanted.filter { count(of: $0) == 0 })") {
      wanted.allSatisfy { count(of: $0) > 0 }
    }
  }

  /// A time, whatever it was, is `N`.
  private static func withoutFigures(_ text: String) -> String {
    guard let colon = text.firstIndex(of: ":"), let bar = text.firstIndex(of: "|"), text[bar...].hasPrefix("|ms") else {
      return text
    }
    return text[...colon] + "N" + text[bar...]
  }
}

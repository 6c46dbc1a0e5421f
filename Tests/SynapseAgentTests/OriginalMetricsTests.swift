import AgentKit
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import Registry
@testable import SynapseAgent

/// The original's datagrams: dashboards are built on these names and tags.
@Suite("the original's metrics", .timeLimit(.minutes(2 * patience))) @LoopActor struct OriginalMetricsTests {
  @Test func ofAWholeAgent() async throws {
    try await World.with { world in
      let receiver = UDPReceiver()
      try world.proxy.write(sections: [])
      try await world.proxy.start()
      try await world.register("one", port: world.startTask("one"))
      try await world.put(Array("nonsense".utf8), "/svc/web/bad")
      let synapse = Synapse(
        try world.load(world.configuration()), stateDirectory: world.proxy.path, logger: world.journal.logger,
        metrics: world.metrics, statsd: StatsD(host: "127.0.0.1", port: receiver.port))
      synapse.start()
      try await eventually("one answers") { await world.request() == "one" }
      await synapse.stop()
      try await sees(
        [
          "synapse.start:1|c", "synapse.stop:1|c|#stop_avenue:clean,stop_location:main_loop",
          "synapse.watcher.start:1|c|#start_result:success,watcher_name:web",
          "synapse.watcher.stop:1|c|#stop_avenue:clean,stop_location:main_loop,watcher_name:web",
          "synapse.watchers.start.time:N|ms", "synapse.haproxy.check_config:1|c|#status:true",
          "synapse.watcher.zk.discovery:1|c|#zk_cluster:\(world.zookeeper.connection),zk_path:/svc/web,service_name:web",
          "synapse.watcher.zk.parse_child_failed:1|c",
        ], receiver)
    }
  }

  @Test func ofSeveralWatchersUnderOneName() async throws {
    let receiver = UDPReceiver()
    let directory = TemporaryDirectory()
    func weights(_ text: String) throws {
      try Files.write(Array(text.utf8), to: directory.path + "/weights", mode: 0o644, sync: false)
    }
    try weights("primary: 0\nother: 1\n")
    let resolvers = [
      "{method: s3_toggle, s3_url: \"file://\(directory.path)/weights\", s3_polling_interval_seconds: 0.1}",
      "{method: sequential, sequential_order: [primary, other]}",
    ]
    var services: [WatchedService] = []
    for resolver in resolvers {
      services.append(
        try WatchedService(
          """
          discovery: {method: dns, servers: [{host: nosuch.invalid, port: 1}], nameserver: 127.0.0.1, check_interval: 0.1}
          discovery_multi: {watchers: {other: {method: base}}, resolver: \(resolver)}
          default_servers: [{host: 10.0.0.9, port: 9}]
          haproxy: {}
          """, statsd: StatsD(host: "127.0.0.1", port: receiver.port)))
    }
    let toggle = "synapse.watcher.multi.resolver.s3_toggle"
    try await sees(
      [
        "synapse.watcher.multi.start:1|c", "\(toggle).switch:1|c|#result:success,watcher:other",
        "\(toggle).switch:1|c|#result:skip", "synapse.watcher.dns.resolve_failed:1|c|#service_name:web",
        "synapse.watcher.multi.resolver.sequential.switch:1|c|#result:success,watcher:other",
      ], receiver)
    try weights("primary: 0\n")
    try await sees(["\(toggle).switch:1|c|#result:fail,reason:zero_sum"], receiver)
    try weights("nobody: 1\n")
    try await sees(["\(toggle).switch:1|c|#result:fail,reason:unknown_watcher"], receiver)
    try weights("[")
    try await sees(["\(toggle).fetch_failure:1|c|#reason:parse_error"], receiver)
    for service in services { try await service.stop() }
    try await sees(["synapse.watcher.multi.stop:1|c"], receiver)
  }

  private func sees(_ wanted: [String], _ receiver: UDPReceiver) async throws {
    var seen: Set<String> = []
    do {
      try await eventually("the datagrams arrive") {
        while let text = receiver.receive() { seen.insert(OriginalMetricsTests.withoutFigure(text)) }
        return wanted.allSatisfy(seen.contains)
      }
    } catch {
      Issue.record("missing: \(wanted.filter { !seen.contains($0) }) in \(seen.sorted())")
      throw error
    }
  }

  private static func withoutFigure(_ text: String) -> String {
    guard let bar = text.range(of: "|ms"), let colon = text[..<bar.lowerBound].lastIndex(of: ":") else { return text }
    return text[...colon] + "N" + text[bar.lowerBound...]
  }
}

extension String {
  fileprivate func range(of needle: String) -> Range<Index>? {
    var start = startIndex
    while start < endIndex {
      if self[start...].hasPrefix(needle) { return start..<index(start, offsetBy: needle.count) }
      formIndex(after: &start)
    }
    return nil
  }
}

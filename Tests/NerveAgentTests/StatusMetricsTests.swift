import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent

@Suite("status metrics", .timeLimit(.minutes(3 * patience))) @LoopActor struct StatusMetricsTests {
  /// What `nerve_services` says, in the order of its states' names.
  private func counts(_ agent: Agent) -> [String] {
    agent.metrics.render().split(separator: "\n").filter { $0.hasPrefix("nerve_services{") }.map {
      String($0.dropFirst("nerve_services{state=\"".count)).replacing("\"}", with: "")
    }
  }

  @Test func everyServiceCountsAsOneThing() async throws {
    try await withWorld { world in
      let (good, bad, drained) = (try world.target(), try world.target(), try world.target())
      bad.status = 503
      world.configure(
        world.service("good", check: world.http(good)), world.service("bad", check: world.http(bad)),
        world.service("out.main", check: world.throughHacheck(drained, service: "out.main")))
      let agent = try world.agent()
      try await eventually("two are registered: \(counts(agent))") {
        counts(agent) == ["down 1", "drained 0", "pending 0", "registered 2"]
      }
      #expect(try await world.post("out.main/\(drained.port)", "status=down&reason=test") == 200)
      try await eventually("one is drained: \(counts(agent))") {
        counts(agent) == ["down 1", "drained 1", "pending 0", "registered 1"]
      }
      await world.server.kill()
      bad.status = 200
      try await eventually("what cannot be registered is pending: \(counts(agent))") {
        counts(agent).contains("pending 1")
      }
    }
  }

  @Test func aRefusedFileShowsUntilAGoodOneIsRead() async throws {
    try await withWorld { world in
      world.configure(world.service("web"))
      let agent = try world.agent()
      let shown = { (name: String) in agent.metrics.render().contains("\n\(name)\n") }
      #expect(shown("nerve_last_reload_successful 1") && shown("nerve_services_skipped 0"))
      writeFile(world.configurationPath, "{")
      await agent.reload()
      #expect(shown("nerve_last_reload_successful 0"))
      world.configure(world.service("web"), #""bad": {"host": 7}"#)
      await agent.reload()
      #expect(shown("nerve_last_reload_successful 1") && shown("nerve_services_skipped 1"))
    }
  }
}

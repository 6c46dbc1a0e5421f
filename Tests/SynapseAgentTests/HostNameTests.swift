import HAProxyConfigGen
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// Registrations whose hosts are names, in front of a name server that answers as a test says.
@Suite("host names", .timeLimit(.minutes(2 * patience))) struct HostNameTests {
  private let journal = Journal()

  /// What the name server does at the moment.
  @LoopActor private final class Script {
    /// The last part of the address; nil: it fails, or does not answer.
    var last: UInt8?
  }

  @LoopActor private func model(_ server: ScriptedNameServer) -> WantedModel {
    var web = ServiceSettings(service: "web")
    web.port = .number("80")
    return WantedModel(
      settings: GeneratorSettings(), services: [web], memory: ServerMemory(), clock: .system, logger: journal.logger,
      resolver: NameResolver(nameservers: [server.endpoint], timeout: .milliseconds(300)))
  }

  @LoopActor private func apply(_ hosts: [String], to model: WantedModel) {
    model.apply([ServiceSnapshot(service: "web", backends: hosts.map { Backend(host: $0, port: 80) })])
  }

  /// The servers in the file, `NAME ADDRESS`.
  @LoopActor private func servers(_ model: WantedModel) -> Set<String> {
    let lines = model.model.render().text.split(separator: "\n").map { $0.split(separator: " ") }
    return Set(lines.filter { $0[0] == "\tserver" }.map { "\($0[1]) \($0[2])" })
  }

  @Test @LoopActor func aSilentNameDelaysNoOtherAndComesWhenItIsKnown() async throws {
    let slow = Script()
    let server = try ScriptedNameServer { question in
      // IPv6 is silent throughout.
      if question.isIPv6 { return nil }
      let last = question.host == "slow" ? slow.last : 8
      return last.map { question.answer([10, 0, 0, $0]) }
    }
    let model = model(server)
    apply(["slow.test", "fast.test", "10.0.0.1", "localhost"], to: model)
    // What needs no name server is there at once.
    #expect(servers(model) == ["10.0.0.1:80 10.0.0.1:80", "localhost:80 127.0.0.1:80"])
    try await eventually("the name that is answered for is known") {
      self.servers(model).contains("fast.test:80 10.0.0.8:80")
    }
    #expect(model.model.problems.map(\.description).contains { $0.contains("slow.test") })
    slow.last = 7
    try await eventually("the other one is known") { self.servers(model).contains("slow.test:80 10.0.0.7:80") }
    #expect(model.model.problems.isEmpty)
    model.stop()
  }

  @Test @LoopActor func theAddressFollowsTheTimeToLiveAndTheLastOneStays() async throws {
    let script = Script()
    script.last = 1
    let server = try ScriptedNameServer { question in
      script.last.map { question.answer([10, 0, 0, $0], timeToLive: 1) } ?? question.failure
    }
    let model = model(server)
    apply(["web.test"], to: model)
    try await eventually("the first address") { self.servers(model) == ["web.test:80 10.0.0.1:80"] }
    script.last = 2
    try await eventually("the second address") { self.servers(model) == ["web.test:80 10.0.0.2:80"] }
    script.last = nil
    try await eventually("the failure is logged") {
      self.journal.contains("host name not resolved, last address kept path=web.test")
    }
    #expect(servers(model) == ["web.test:80 10.0.0.2:80"] && model.model.problems.isEmpty)
    script.last = 3
    try await eventually("the third address") { self.servers(model) == ["web.test:80 10.0.0.3:80"] }
    #expect(journal.contains("host name resolved again"))
    // Another configuration knows what this one knew.
    model.replaceServices([ServiceSettings(service: "web")])
    apply(["web.test"], to: model)
    #expect(servers(model) == ["web.test:80 10.0.0.3:80"])
    model.stop()
  }

  @Test @LoopActor func manyNamesAreFewChanges() async throws {
    let server = try ScriptedNameServer { $0.answer([10, 0, 0, 1]) }
    let model = model(server)
    apply((0..<500).map { "n\($0).test" }, to: model)
    let before = model.revision
    try await eventually("all are known") { self.servers(model).count == 500 }
    #expect(model.revision - before < 250)
    model.stop()
  }
}

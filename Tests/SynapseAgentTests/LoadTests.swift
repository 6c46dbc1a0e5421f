import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import ZooKeeper

@testable import SynapseAgent

/// The short form of `make bench`'s part `load`: who asks without a pause notices nothing of servers that come and go.
@Suite("servers come and go under load", .timeLimit(.minutes(3 * patience))) @LoopActor struct LoadTests {
  private let guests = 40

  @Test func noRequestFailsAndNothingIsReloaded() async throws {
    try await World.with { world in
      try await world.startProxyAndAgent(world.configuration(haproxy: ["use_nerve_weights: true"]))
      let port = try world.startTask("task")
      let steady = try await world.register("steady", port: port, weight: 10)
      try await eventually("it is served") { await world.request() == "task" }
      let (reloads, file) = (world.reloads, world.file())
      let clients = SteadyClients(port: world.port)
      var there: [String] = []
      for round in 1...guests {
        there.append(try await world.register("guest\(round)", port: port))
        try await eventually("guest \(round) is served") {
          await world.servingTasks().contains("guest\(round)")
        }
        // A few at a time, and the longest there goes first.
        if there.count > 5 { try await world.registrar.delete(there.removeFirst()) }
        if round.isMultiple(of: 5) { try await weigh(steady, port, 10 + round, world) }
      }
      for path in there { try await world.registrar.delete(path) }
      try await eventually("only the first is left") { await world.servingTasks() == ["steady"] }
      try await eventually("the file says so") { world.file() != file && world.servingInFile() == ["steady"] }
      await clients.stop()
      #expect(clients.problems.isEmpty, "\(clients.problems.count): \(clients.problems.prefix(3))")
      #expect(clients.answers > guests)
      #expect(world.reloads == reloads)
    }
  }

  private func weigh(_ path: String, _ port: Int, _ weight: Int, _ world: World) async throws {
    let backend = Backend(name: "steady", host: "127.0.0.1", port: port, weight: weight)
    try await world.registrar.set(path, to: RegistrationCodec.payload(backend))
    try await eventually("its weight is \(weight)") {
      await world.serving().contains { $0.key.hasPrefix("steady_") && $0.value.weight == weight }
    }
  }
}

import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

@Suite("an agent with only a command", .timeLimit(.minutes(2 * patience))) struct ExecAgentTests {
  @Test @LoopActor func discoveryReachesTheCommand() async throws {
    let directory = TemporaryDirectory()
    func configuration(_ services: String...) throws -> SynapseConfiguration {
      try directory.write(
        """
        exec_output: {command: "cat >> \(directory.path)/told", min_interval: 0}
        services:
        \(services.map { "  \($0): {discovery: {method: file, path: \(directory.path)/\($0)}}" }.joined(separator: "\n"))
        """, to: "synapse.yaml")
      return try ConfigurationLoader(environment: [:]).load("\(directory.path)/synapse.yaml")
    }
    func lines() -> [String] { (directory.text(of: "told") ?? "").split(separator: "\n").map(String.init) }
    try directory.write(#"{"host": "10.0.0.1", "port": 80}"#, to: "one/a@h.json")
    let synapse = Synapse(
      try configuration("one", "two"), stateDirectory: nil, logger: Journal().logger, metrics: Metrics())
    synapse.start()
    try await eventually("both are told of at once") { lines().count == 1 }
    let server = #"{"name":null,"host":"10.0.0.1","port":80,"id":null,"weight":null,"#
    #expect(
      lines().first == "{\"one\":[" + server + "\"haproxy_server_options\":null,\"labels\":null}],\"two\":[]}")
    try directory.write(#"{"host": "10.0.0.2", "port": 80}"#, to: "two/a@h.json")
    try await eventually("the change is told") { lines().last?.contains("10.0.0.2") == true }
    #expect(lines().last?.contains("\"one\"") == false)
    synapse.reload(try configuration("two"))
    try await eventually("the end of a service is told") { lines().last?.contains("\"one\":null") == true }
    await synapse.stop()
  }
}

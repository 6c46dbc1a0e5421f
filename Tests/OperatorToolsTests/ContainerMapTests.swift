import Reactor
import SmartStack
import TestSupport
import Testing

@testable import OperatorTools

@Suite("generate_container_ip_map", .timeLimit(.minutes(2 * patience))) @LoopActor struct ContainerMapTests {
  private static let containers = """
    [{"Id": "a", "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.2"}}},
      "Labels": {"MESOS_TASK_ID": "shop.main.git1.config2.uuid"}},
     {"Id": "b", "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.3"}}},
      "Labels": {"paasta_service": "a_b", "paasta_instance": "night_run"}},
     {"Id": "c", "NetworkSettings": {"Networks": {"host": {"IPAddress": ""}}}, "Labels": {"MESOS_TASK_ID": "x.y"}},
     {"Id": "d", "NetworkSettings": {"Networks": {"bridge": {"IPAddress": ""}}}, "Labels": {"MESOS_TASK_ID": "x.y"}},
     {"Id": "e", "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.4"}}}, "Labels": {"other": "1"}},
     {"Id": "f", "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "172.17.0.5"}}},
      "Labels": {"MESOS_TASK_ID": "x\\n10.0.0.1 y"}}]
    """
  private static let pods = """
    {"items": [
     {"metadata": {"name": "a", "labels": {"paasta.yelp.com/service": "a_b", "paasta.yelp.com/instance": "main"}},
      "status": {"phase": "Running", "podIP": "10.1.0.1"}},
     {"metadata": {"name": "b", "labels": {"paasta.yelp.com/service": "c", "paasta.yelp.com/instance": "main"}},
      "status": {"phase": "Failed", "podIP": "10.1.0.2"}},
     {"metadata": {"name": "c", "labels": {"paasta.yelp.com/service": "d", "paasta.yelp.com/instance": "main"}},
      "status": {"phase": "Pending"}},
     {"metadata": {"name": "d"}, "status": {"phase": "Running", "podIP": "10.1.0.3"}}]}
    """

  /// Runs the program against a source that gives `answer`.
  private func run(
    _ answer: String, at endpoint: Endpoint, map: String, _ arguments: (Endpoint) -> [String]
  ) async throws -> ChildResult {
    let source = HTTPListener { exchange in
      let isKnown = ["/containers/json", "/pods/"].contains(exchange.target)
      exchange.respond(status: isKnown ? 200 : 404, text: answer)
    }
    defer { source.close() }
    let bound = try source.listen(on: endpoint)
    return try await ChildProcess.run(
      BuiltProgram.path("synapse"), arguments: ["generate_container_ip_map"] + arguments(bound) + [map],
      deadline: .seconds(60))
  }

  @Test func dockersContainers() async throws {
    let directory = TemporaryDirectory()
    let (map, socket) = (directory.path + "/map", directory.path + "/docker.sock")
    let result = try await run(Self.containers, at: .unix(path: socket), map: map) { _ in
      ["--docker-socket", socket, "-U", "-T", "2"]
    }
    #expect(result.status == .exited(0) && result.output.isEmpty)
    #expect(directory.text(of: "map") == "172.17.0.2 shop.main.git1.config2.uuid\n172.17.0.3 a--b.night--run\n")
    #expect(
      String(decoding: result.errorOutput, as: UTF8.self)
        == "skipped container d: `` is not an address\n"
        + "skipped container f: its task `x\\n10.0.0.1 y` is empty or holds blanks\n")
    #expect(Files.mode(of: map) == 0o644)
    for (answer, word) in [("{}", "not a list of containers"), ("<html>", "not a list of containers")] {
      let failed = try await run(answer, at: .unix(path: socket), map: map) { _ in ["--docker-socket", socket] }
      #expect(failed.status == .exited(1))
      #expect(String(decoding: failed.errorOutput, as: UTF8.self).contains(word))
    }
    let silent = try await ChildProcess.run(
      BuiltProgram.path("synapse"),
      arguments: ["generate_container_ip_map", "--docker-socket", directory.path + "/none", map], deadline: .seconds(60)
    )
    #expect(silent.status == .exited(1))
    #expect(directory.text(of: "map")?.hasPrefix("172.17.0.2 ") == true)
  }

  @Test func podsOfTheKubelet() async throws {
    let directory = TemporaryDirectory()
    let result = try await run(Self.pods, at: .tcp(host: "127.0.0.1", port: 0), map: directory.path + "/map") {
      ["--k8s", "--kubelet", "http://\($0)"]
    }
    #expect(result.status == .exited(0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
    #expect(directory.text(of: "map") == "10.1.0.1 a--b.main\n")
  }
}

import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Configure

@Suite struct ConfigureNerveReadingTests {
  @Test(
    "sources as on the command line",
    arguments: [
      ("mesos", "mesos"), ("mesos:http://a:1/state", "mesos:http://a:1/state"), ("static:/d", "static:/d"),
      ("file:/f", "file:/f"), ("command:/bin/x  -y z", "command:/bin/x -y z"), ("command: ", nil), ("static:", nil),
      ("zookeeper:x", nil), ("", nil), ("mesos:", nil),
    ])
  func sourcesAreReadAsOnTheCommandLine(_ text: String, _ expected: String?) {
    #expect(ServicesSource(text)?.description == expected)
  }

  @Test(
    "agents' addresses",
    arguments: [
      ("http://h", "h:5051 /state"), ("http://h:80/", "h:80 /state"), ("http://[::1]:5/api/v1", "[::1]:5 /api/v1"),
      ("http://h/slave(1)/state", "h:5051 /slave(1)/state"), ("https://h", nil), ("http://:1", nil),
      ("http://h:x", nil),
    ])
  func agentURLsBecomeAddresses(_ url: String, _ expected: String?) {
    #expect(SourceReader.address(of: url).map { "\($0.endpoint) \($0.target)" } == expected)
  }

  @Test(
    "Marathon's names of executors",
    arguments: [
      ("service--three.canary.git1.config2.uuid", "service_three canary"), ("my-svc.main.uuid", "my-svc main"),
      ("nodots", nil), ("a.uuid", nil), ("a.b.c.uuid", nil), ("a----b.c.u", "a__b c"), (".b.u", nil),
    ])
  func executorNamesGiveServiceAndInstance(_ id: String, _ expected: String?) {
    #expect(LocalServiceReader.job(id).map { "\($0.service) \($0.instance)" } == expected)
  }

  static let agentState = """
    {"id": "s1", "frameworks": [
      {"name": "marathon-shard", "executors": [
        {"id": "web.main.g.c.1", "resources": {"ports": "[31062-31063, 9-9]"}, "tasks": [{"state": "TASK_RUNNING"}]},
        {"id": "web.main.g.c.2", "resources": {}, "tasks": [{"state": "TASK_RUNNING"}]},
        {"id": "web.main.g.c.3", "tasks": [{"state": "TASK_STAGING"}]}]},
      {"name": "Marathon", "executors": [{"id": "a.b.4", "tasks": [{"state": "TASK_RUNNING"}]}]}]}
    """
  static let operatorState = """
    {"type": "GET_STATE", "get_state": {
      "get_frameworks": {"frameworks": [{"framework_info": {"id": {"value": "f1"}, "name": "marathon"}},
        {"framework_info": {"id": {"value": "f2"}, "name": "chronos"}}]},
      "get_executors": {"executors": [{"executor_info": {"executor_id": {"value": "web.main.g.c.2"},
        "resources": [{"name": "ports", "ranges": {"range": [{"begin": 77, "end": 78}]}}]}}]},
      "get_tasks": {"launched_tasks": [
        {"task_id": {"value": "web.main.g.c.1"}, "framework_id": {"value": "f1"}, "state": "TASK_RUNNING",
         "resources": [{"name": "cpus"}, {"name": "ports", "ranges": {"range": [{"begin": 31062, "end": 31063}]}}]},
        {"task_id": {"value": "t"}, "executor_id": {"value": "web.main.g.c.2"}, "framework_id": {"value": "f1"},
         "state": "TASK_RUNNING"},
        {"task_id": {"value": "x"}, "framework_id": {"value": "f2"}, "state": "TASK_RUNNING"},
        {"task_id": {"value": "y"}, "framework_id": {"value": "f1"}, "state": "TASK_STARTING"}]}}}
    """

  @Test func bothStatesOfAnAgentSayTheSame() throws {
    let agent = try #require(MesosState(Array(ConfigureNerveReadingTests.agentState.utf8)))
    #expect(agent.executors.map { "\($0.id) \($0.port ?? 0)" } == ["web.main.g.c.1 31062", "web.main.g.c.2 0"])
    #expect(agent.isStarting)
    let asked = try #require(MesosState(Array(ConfigureNerveReadingTests.operatorState.utf8)))
    #expect(asked.executors.map { "\($0.id) \($0.port ?? 0)" } == ["web.main.g.c.1 31062", "web.main.g.c.2 77"])
    #expect(asked.isStarting)
    #expect(MesosState(Array("<html>".utf8)) == nil)
    let nothing = [
      "{}", "[]", #"{"id": "s1"}"#, #"{"frameworks": []}"#, #"{"id": "s1", "frameworks": {}}"#, #"{"get_state": {}}"#,
    ]
    for text in nothing { #expect(MesosState(Array(text.utf8)) == nil, "\(text)") }
    #expect(try #require(MesosState(Array(#"{"id": "s1", "frameworks": []}"#.utf8))).executors.isEmpty)
  }

  /// The services of a list with one entry, whose values are given.
  private static func services(_ values: String) throws -> LocalServices {
    let directory = ServiceDirectory(path: "/nonexistent", files: SourceFiles())
    return try LocalServiceReader(services: directory, types: ["region", "zone"])
      .services(listed: Array(#"[["web.main", \#(values)]]"#.utf8), by: .file("/list"))
  }

  @Test(
    "each wrong value of a list is named with its place",
    arguments: [
      (#"{"port": "80"}"#, #"24: [0][1].port: expected a port number, found the text "80""#),
      (#"{"port": 70000}"#, "24: [0][1].port: expected a port number, found the number 70000"),
      (#"{"port": 1.5}"#, "24: [0][1].port: expected a port number, found the number 1.5"),
      (#"{"port": 1, "advertise": "region"}"#, #"40: [0][1].advertise: expected a list, found the text "region""#),
      (
        #"{"port": 1, "advertise": ["planet"]}"#,
        "41: [0][1].advertise[0]: 'planet' is not a location type (region, zone)"
      ),
      (
        #"{"port": 1, "healthcheck_timeout_s": "1"}"#,
        #"52: [0][1].healthcheck_timeout_s: expected a number of seconds, 0.001 to 86399, found the text "1""#
      ),
      (
        #"{"port": 1, "healthcheck_timeout_s": null}"#,
        "52: [0][1].healthcheck_timeout_s: expected a number of seconds, 0.001 to 86399, found null"
      ),
      (#"{"port": 1, "healthcheck_uri": null}"#, "46: [0][1].healthcheck_uri: expected text, found null"),
      (#"{"port": 1, "healthcheck_port": []}"#, "47: [0][1].healthcheck_port: expected an integer, found a list"),
      (
        #"{"port": 1, "extra_healthcheck_headers": []}"#,
        "56: [0][1].extra_healthcheck_headers: expected a mapping, found a list"
      ),
      (#"{"port": 1, "weight": true}"#, "37: [0][1].weight: expected a number, found the boolean true"),
      (#"{"port": 1, "extra_advertise": {}}"#, "46: [0][1].extra_advertise: expected a list, found a mapping"),
      (
        #"{"port": 1, "extra_advertise": [["region:b", "c"]]}"#,
        #"60: [0][1].extra_advertise[0][1]: expected type:location, found the text "c""#
      ),
    ])
  func wrongValuesOfAListAreNamedWithTheirPlace(_ values: String, _ problem: String) throws {
    let all = try ConfigureNerveReadingTests.services(values)
    #expect(all.services.isEmpty)
    #expect(all.remarks.flatMap(\.lines) == ["web.main is skipped: /list:1:\(problem)"])
  }

  @Test func allMistakesOfAServiceAreNamedInOneRun() throws {
    let all = try ConfigureNerveReadingTests.services(
      #"{"port": "x", "healthcheck_uri": "a b", "extra_healthcheck_headers": {"A": [], "B": {}}}"#)
    let lines: [String] = all.remarks.flatMap(\.lines)
    let keys = ["port", "healthcheck_uri", "extra_healthcheck_headers.A", "extra_healthcheck_headers.B"]
    #expect(lines.count == keys.count)
    for (line, key) in zip(lines, keys) { #expect(line.contains(": [0][1].\(key): ")) }
  }

  @Test(arguments: [
    "{}", #"{"port": null}"#, #"{"port": 0}"#, #"{"port": 1, "advertise": []}"#, #"{"port": 1, "advertise": null}"#,
  ])
  func whatIsNotRegisteredIsNotAMistake(_ values: String) throws {
    let all = try ConfigureNerveReadingTests.services(values)
    #expect(all.remarks.isEmpty)
    #expect(all.services.allSatisfy { $0.namespace.instance.port == nil || $0.namespace.advertise.isEmpty })
  }

  @Test func envoyListenersAreFoundByServiceAddressAndPort() {
    let listeners = EnvoyListeners(
      Array(
        #"""
        {"listener_statuses": [{"name": "web.main.0.0.0.0.80.ingress_listener", "local_address": {"socket_address": {"port_value": 35001}}},
         {"name": "web.main.10.4.5.6.81.ingress_listener", "local_address": {"socket_address": {"port_value": 35002}}},
         {"name": null}, {"name": "egress"}, {"name": "x.0.0.0.0.82.ingress_listener", "local_address": {"pipe": {}}}]}
        """#.utf8))
    #expect(listeners.port(of: "web.main", ip: nil, port: 80) == 35001)
    #expect(listeners.port(of: "web.main", ip: "10.4.5.6", port: 81) == 35002)
    #expect(listeners.port(of: "web.main", ip: nil, port: 81) == nil)
    #expect(EnvoyListeners(Array("[]".utf8)) == EnvoyListeners())
  }

  @Test func labelFilesOfALongerPortAreAnotherServices() throws {
    let directory = TemporaryDirectory()
    try directory.write("{a: 1, b: x}", to: "web.main80")
    try directory.write("{b: y}", to: "web.main80.more")
    try directory.write("{c: 1}", to: "web.main8080")
    try directory.write("[1]", to: "web.main80_bad")
    let labels = try ServiceLabels(directory: directory.path + "/", files: SourceFiles())
    let (found, problems) = labels.labels(of: "web.main", port: 80)
    #expect(found == ["a": 1, "b": "y"])
    #expect(problems.map(\.file) == ["\(directory.path)/web.main80_bad"])
    #expect(try ServiceLabels(directory: "/nonexistent", files: SourceFiles()).labels(of: "x", port: 1).labels.isEmpty)
  }
}

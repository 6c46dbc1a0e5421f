import AgentKit
import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure
@testable import NerveAgent

@Suite struct ConfigureNerveTests {
  @Test @LoopActor func aFirstRunWritesAndTheNextOnlyTouches() async throws {
    let host = try NerveHost()
    let first = await host.run()
    #expect(first.status == 0 && first.problems.isEmpty)
    #expect(first.output.contains("1 local service, 1 registration; \(host.options.outputs.nerveConfigPath) changed"))
    #expect(host.names == ["web.main.s:10.0.0.1.8000"])
    let entry = try #require(host.registrations.values.first)
    #expect(entry["labels"] == ["region:r1": ""] && entry["zk_hosts"] == ["10.9.9.9:2181"] && entry["weight"] == 10)
    let before = host.configuration
    var old = timespec(tv_sec: 1_000_000, tv_nsec: 0)
    let times = [old, old]
    #expect(utimensat(AT_FDCWD, host.options.outputs.nerveConfigPath, times, 0) == 0)
    old.tv_sec = 0
    let second = await host.run()
    #expect(second == NerveConfigurator.Outcome())
    #expect(host.configuration == before)
    #expect(try #require(Files.modificationTime(host.options.outputs.nerveConfigPath)) > 1_600_000_000)
  }

  @Test @LoopActor func diffAndDryRunChangeNothing() async throws {
    let host = try NerveHost()
    let dry = await host.run(.dryRun)
    #expect(dry.status == 1 && dry.output.contains("would change; nerve is left alone"))
    let diff = await host.run(.diff(inColor: false))
    #expect(
      diff.status == 1
        && diff.output.hasPrefix("--- /dev/null\n+++ \(host.options.outputs.nerveConfigPath) (new)\n@@ -0,0 +1,"))
    #expect(host.configuration == nil)
    _ = await host.run()
    #expect(await host.run(.dryRun).status == 0)
    #expect(await host.run(.diff(inColor: true)) == NerveConfigurator.Outcome())
    try host.directory.write("8001", to: "soa/web/port")
    let change = await host.run(.diff(inColor: true)).output
    #expect(change.contains("\u{1B}[32m+") && change.contains("8001"))
    try host.directory.write("nowhere", to: "etc/region")
    #expect(await host.run(.diff(inColor: false)).status == 2)
  }

  @Test @LoopActor func extraAdvertisementsGoToOtherEnsembles() async throws {
    let host = try NerveHost([
      "soa/web/smartstack.yaml": """
      main:
        proxy_port: 1
        advertise: [region]
        extra_advertise: {"region:r1": ["region:r3", "superregion:t"], "region:r2": ["region:r2"]}
      """
    ])
    #expect(await host.run().status == 0)
    #expect(host.names == ["web.main.s:10.0.0.1.8000", "web.main.t:10.0.0.1.8000"])
    #expect(host.registrations["web.main.t:10.0.0.1.8000.v2.new"]?["labels"] == ["region:r3": ""])
  }

  /// Canaries and shards: tasks of one service pooled under another's registration.
  @Test @LoopActor func tasksOfMesosRegisterWhereTheirInstanceSays() async throws {
    let host = try NerveHost([
      "soa/canary/marathon-west.yaml": "one: {registrations: [web.main], deploy_group: dev}\nbad: {registrations: [x]}",
      "soa/web/marathon-west.yaml": "main: {}",
    ])
    let state = #"{"id": "s1", "frameworks": [{"name": "marathon", "executors": [%]}]}"#
    let executors = ["web.main.1", "canary.one.2", "canary.bad.3", "gone.main.4", "x.5"].enumerated().map {
      #"{"id": "\#($1)", "resources": {"ports": "[\#(31000 + $0)-\#(31000 + $0)]"}, "tasks": [{"state": "TASK_RUNNING"}]}"#
    }
    let body = state.replacing("%", with: executors.joined(separator: ","))
    let paths = Locked<[String]>([])
    let agent = LoopbackServer { connection in
      let head = connection.receive(until: "\r\n\r\n")
      let target = head.split(separator: " ").dropFirst().first.map(String.init) ?? ""
      paths.withLock { $0.append(target) }
      let answer =
        target == "/state.json"
        ? "200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)" : "404 No\r\nContent-Length: 0\r\n\r\n"
      connection.send(Array("HTTP/1.1 \(answer)".utf8))
    }
    host.options.inputs.sources = [.mesos(url: "http://127.0.0.1:\(agent.port)")]
    let outcome = await host.run()
    #expect(outcome.status == 3)
    #expect(paths.withLock { $0.prefix(2) } == ["/state", "/state.json"])
    #expect(host.names == ["web.main.s:10.0.0.1.31000", "web.main.s:10.0.0.1.31001"])
    let canary = try #require(host.registrations["web.main.s:10.0.0.1.31001.v2.new"])
    #expect(canary["labels"] == ["region:r1": "", "deploy_group": "dev", "paasta_instance": "one"])
    #expect(canary["checks"]?.array?.first?["headers"]?["X-Nerve-Check-IP"] == "10.0.0.1")
    #expect(
      outcome.problems == [
        "canary is skipped: \(host.directory.path)/soa/canary/marathon-west.yaml:2:23: bad.registrations[0]: "
          + "expected service.namespace, found the text \"x\""
      ])
    // A canary whose file is half written keeps what it has under the other service's name.
    try host.directory.write("one: {registrations: [web.main", to: "soa/canary/marathon-west.yaml")
    #expect(await host.run().status == 3)
    #expect(host.names == ["web.main.s:10.0.0.1.31000", "web.main.s:10.0.0.1.31001"])
    try host.directory.write(#"{"register_marathon_services": false}"#, to: "paasta/no.json")
    #expect(await NerveConfigurator(options: host.options).dumpLocalServices().output == "[]\n")
  }

  @Test @LoopActor func aSourceThatCannotBeReadChangesNothing() async throws {
    let host = try NerveHost()
    _ = await host.run()
    let before = host.configuration
    let program = host.directory.path + "/list"
    try host.directory.write("#!/bin/sh\necho trouble >&2\nexit 3\n", to: "list")
    #expect(chmod(program, 0o755) == 0)
    for (source, words) in [
      (ServicesSource.mesos(url: "http://127.0.0.1:1"), "the Mesos agent at 127.0.0.1:1: cannot connect"),
      (.command([program]), "command:\(program): exit status 3: trouble; nothing is changed"),
      (.command(["/nonexistent/x"]), "cannot run /nonexistent/x: No such file or directory; nothing is changed"),
      (.file("/nonexistent/list"), "cannot open /nonexistent/list"),
      (.file(program), "is not JSON; nothing is changed"),
    ] {
      host.options.inputs.sources = [source]
      let outcome = await host.run()
      #expect(outcome.status == 1, "\(source)")
      #expect(outcome.problems.count == 1 && outcome.problems[0].contains(words), "\(outcome.problems)")
      #expect(host.configuration == before, "\(source)")
    }
  }

  /// A file that is half written, looping or a bomb: the service keeps what it has, and is named.
  @Test(arguments: [
    "main: {proxy_port: 1", "main: [", "main: {mode: udp}", "a: &a [*a]", "main: {advertise: [galaxy]}",
  ])
  @LoopActor func aBadServiceKeepsItsRegistrations(_ text: String) async throws {
    let host = try NerveHost([
      "soa/api/smartstack.yaml": "main: {proxy_port: 1}", "soa/api/port": "9000",
      "static/api": #"{"namespaces": ["main"]}"#,
    ])
    _ = await host.run()
    try host.directory.write(text, to: "soa/web/smartstack.yaml")
    try host.directory.write("9001", to: "soa/api/port")
    let outcome = await host.run()
    #expect(outcome.status == 3)
    #expect(
      outcome.problems.count == 1 && outcome.problems[0].hasPrefix("web.main stays as it was: "), "\(outcome.problems)")
    #expect(host.names == ["api.main.s:10.0.0.1.9001", "web.main.s:10.0.0.1.8000"])
  }

  /// nerve's reader has the last word: what it refuses stays as it was if it accepts that, and the service's file is named.
  @Test @LoopActor func whatNerveRefusesStaysAsItWas() async throws {
    let host = try NerveHost()
    let list = host.directory.path + "/list"
    host.options.inputs.sources = [.file(list)]
    try host.directory.write(
      #"[["a.main", {"port": 81}], ["b//x", {"port": 82}], ["c.main", {"port": 83}]]"#, to: "list")
    let first = await host.run()
    #expect(first.status == 3)
    #expect(
      first.problems.count == 1
        && first.problems[0].hasPrefix("b//x is skipped: \(list):1:37: [1][1]: nerve refuses the registration: "))
    #expect(host.names == ["a.main.s:10.0.0.1.81", "c.main.s:10.0.0.1.83"])
    let text = try #require(host.configuration)
    try host.directory.write(
      text.replacing("a.main.s", with: "b//x.s").replacing(".81.v2", with: ".82.v2"), to: "nerve.conf.json")
    let second = await host.run()
    #expect(second.status == 3 && second.problems.count == 1)
    #expect(second.problems.first?.hasPrefix("b//x stays as it was: \(list):1:37: ") == true, "\(second.problems)")
    #expect(host.names == ["a.main.s:10.0.0.1.81", "b//x.s:10.0.0.1.82", "c.main.s:10.0.0.1.83"])
    #expect(host.registrations["b//x.s:10.0.0.1.82.v2.new"]?["zk_path"] == "/smartstack/global/a.main")
  }

  /// PaaSTA's own scheduler, where `register_native_services` asks for its tasks: without what Marathon's have in addition.
  @Test @LoopActor func tasksOfNativeFrameworksAreRegisteredWhereAsked() async throws {
    let host = try NerveHost([
      "soa/my_svc/paasta_native-west.yaml": "main: {deploy_group: x}",
      "soa/my_svc/smartstack.yaml": "main: {proxy_port: null}",
      "soa/web/marathon-west.yaml": "main: {deploy_group: null}",
    ])
    let executor = { (id: String, port: Int) in
      #"{"id": "\#(id)", "resources": {"ports": "[\#(port)-\#(port)]"}, "tasks": [{"state": "TASK_RUNNING"}]}"#
    }
    let body =
      #"{"id": "s1", "frameworks": [{"name": "paasta_native my_svc.main", "executors": [\#(executor("my_svc.main.g.c.1", 1))]}, "#
      + #"{"name": "paasta_native2", "executors": [7]}, {"name": "marathon", "executors": [\#(executor("web.main.2", 2))]}]}"#
    let agent = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      connection.send("HTTP/1.1 200 OK\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
    host.options.inputs.sources = [.mesos(url: "http://127.0.0.1:\(agent.port)")]
    #expect(await host.run().status == 0)
    #expect(host.names == ["web.main.s:10.0.0.1.2"])
    #expect(
      host.registrations["web.main.s:10.0.0.1.2.v2.new"]?["labels"] == ["region:r1": "", "paasta_instance": "main"])
    try host.directory.write(#"{"register_native_services": true}"#, to: "paasta/native.json")
    #expect(await host.run().status == 0)
    #expect(host.names == ["my_svc.main.s:10.0.0.1.1", "web.main.s:10.0.0.1.2"])
    let native = try #require(host.registrations["my_svc.main.s:10.0.0.1.1.v2.new"])
    #expect(native["labels"] == ["region:r1": ""])
    #expect(native["checks"]?.array?.first?["uri"] == "/http/my_svc.main/1/status")
    #expect(native["checks"]?.array?.first?["headers"]?.object?.keys == ["x-smartstack-target-identity"])
    try host.directory.write(#"{"register_marathon_services": false}"#, to: "paasta/marathon.json")
    #expect(await host.run().status == 0)
    #expect(host.names == ["my_svc.main.s:10.0.0.1.1"])
  }

  /// What JSON has no number for is text, so that one label or header cannot spoil the whole file.
  @Test @LoopActor func numbersThatJSONHasNotAreTexts() async throws {
    let host = try NerveHost([
      "soa/web/smartstack.yaml":
        "main: {proxy_port: 1, extra_healthcheck_headers: {A: .inf}, healthcheck_body_expect: .nan}",
      "labels/web.main8000": "x: -.inf",
    ])
    #expect(await host.run().status == 0)
    let entry = try #require(host.registrations["web.main.s:10.0.0.1.8000.v2.new"])
    #expect(entry["labels"]?["x"] == "-inf")
    #expect(entry["checks"]?.array?.first?["headers"]?["A"] == "inf")
    #expect(entry["checks"]?.array?.first?["expect"] == "nan")
  }

  @Test @LoopActor func portsOfATaskThatAreNoneKeepItsRegistration() async throws {
    let host = try NerveHost(["soa/web/marathon-west.yaml": "main: {}"])
    let ports = Locked("\"[31000-31000]\"")
    let agent = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      let resources = ports.withLock { $0 }
      let task = #""tasks": [{"state": "TASK_RUNNING"}]"#
      var body = Array(
        (#"{"id": "s1", "frameworks": [{"name": "marathon", "executors": ["#
          + #"{"id": "web.main.1", "resources": {"ports": \#(resources)}, \#(task)}]}, {"name": "é"}]}"#).utf8)
      // An agent cuts names in the middle of a character.
      if let half = body.firstIndex(of: 0xA9) { body.remove(at: half) }
      connection.send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
    }
    host.options.inputs.sources = [.mesos(url: "http://127.0.0.1:\(agent.port)")]
    #expect(await host.run().status == 0)
    #expect(host.names == ["web.main.s:10.0.0.1.31000"])
    ports.withLock { $0 = "7" }
    let outcome = await host.run()
    #expect(outcome.status == 3)
    #expect(
      outcome.problems == [
        "web.main stays as it was: Mesos executor web.main.1: expected ports such as [31000-31000], found 7"
      ])
    #expect(host.names == ["web.main.s:10.0.0.1.31000"])
  }

  @Test(
    "host data of no use change nothing and are named",
    arguments: [
      ("etc/region", "", "etc/region: "), ("soa/location_types.json", "[", "soa/location_types.json:"),
      ("soa/location_mapping.json", "[]", "soa/location_mapping.json:1:1: expected a mapping"),
      ("zookeeper/infrastructure/s.yaml", "[[10.9.9.9, ", "the current file has 1 registration in this ensemble"),
      ("zookeeper/infrastructure/s.yaml", "", "zookeeper/infrastructure/s.yaml:1:1: expected a list, found null"),
    ])
  @LoopActor func wrongHostDataChangesNothingAndIsNamed(_ name: String, _ text: String, _ words: String) async throws {
    let host = try NerveHost()
    _ = await host.run()
    let before = host.configuration
    try host.directory.write(text, to: name)
    let outcome = await host.run()
    #expect(outcome.status == 1 && outcome.problems.count == 1 && outcome.problems[0].contains(words), "\(outcome)")
    #expect(host.configuration == before)
    #expect(unlink("\(host.directory.path)/\(name)") == 0)
    // A type of location that the host is in none of is named with each service that asks for it.
    #expect(await host.run().status == (name == "etc/region" ? 3 : 1))
    #expect(symlink("\(host.directory.path)/\(name)", "\(host.directory.path)/\(name)") == 0)
    #expect(await host.run().status == 1)
    #expect(host.configuration == before)
  }

  @Test @LoopActor func aBadTopologyFileWithoutRegistrationsIsAWarning() async throws {
    let host = try NerveHost(["zookeeper/infrastructure/s.yaml": "[["])
    let outcome = await host.run()
    #expect(outcome.status == 0 && host.names.isEmpty)
    #expect(outcome.problems.count == 1 && outcome.problems[0].hasSuffix("nothing is registered there"))
  }

  /// What nerve's reader would refuse never gets into the file.
  @Test @LoopActor func nerveItselfChecksTheCandidate() async throws {
    let host = try NerveHost()
    try host.directory.write(
      #"[["web.main", {"port": 80, "service_ip": "10.0.0.2", "weight": -5}], ["api.main", {"port": 81}], ["x"]]"#,
      to: "list")
    host.options.inputs.sources = [.file(host.directory.path + "/list")]
    let outcome = await host.run()
    #expect(outcome.status == 3)
    #expect(host.names.contains("api.main.s:10.0.0.1.81"))
    let (problems, _) = Agent.check(AgentOptions(configuration: host.options.outputs.nerveConfigPath))
    #expect(problems.isEmpty)
    #expect(outcome.problems.contains { $0.contains("entry 2 of file:") })
  }

  @Test @LoopActor func figuresAreWrittenForEachRun() async throws {
    let host = try NerveHost()
    host.options.outputs.metricsFile = host.directory.path + "/configure_nerve.prom"
    _ = await host.run()
    let figures = try #require(host.directory.text(of: "configure_nerve.prom"))
    #expect(figures.contains("configure_nerve_success 1\n") && figures.contains("configure_nerve_registrations 1\n"))
    try host.directory.write("", to: "etc/region")
    _ = await host.run()
    #expect(host.directory.text(of: "configure_nerve.prom")?.contains("configure_nerve_success 0\n") == true)
  }
}

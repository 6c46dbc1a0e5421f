import Hacheck
import SmartStack
import TestSupport
import Testing
import YAMLConfig
import ZooKeeper

@testable import NerveAgent
@testable import Registry

@Suite struct ConfigurationTests {
  // MARK: What is read

  @Test func everyKeyOfAService() throws {
    let configuration = try load(
      serviceText(
        #"""
        "reporter_type": "zookeeper", "check_interval": 2.0, "check_mocked": false, "zk_cluster_name": "x",
        "max_repeated_report_failures": 10,
        "node_type": "persistent", "ttl_seconds": 30,
        "rate_limiting": {"average_rate": 2, "max_burst": 5, "shadow_mode": false},
        "checks": [
          {"type": "http", "host": "127.0.0.1", "port": 6666, "uri": "status", "timeout": 1.0, "open_timeout": 0.5,
           "rise": 2, "fall": 3, "headers": {"X-A": "1"}, "expect": "ok", "ssl": true, "ssl_timeout": 0.25},
          {"type": "tcp"}, {"type": "noop", "name": "never"}]
        """#))
    #expect(configuration.problems.isEmpty)
    #expect(configuration.warnings.isEmpty)
    let service = try #require(configuration.services.first)
    #expect(service.interval == .seconds(2))
    #expect(service.registry.zooKeeper?.registration.mode == .persistent)
    #expect(service.registry.zooKeeper?.renewal == .seconds(30))
    #expect(service.rateLimit == RateLimit(averageRate: 2, maxBurst: 5, isShadow: false))
    #expect(service.checks.map(\.name) == ["http-127.0.0.1:6666/status", "web tcp-10.0.0.5:3000", "never"])
    #expect(service.checks.map(\.rise) == [2, 1, 1])
    #expect(service.checks.map(\.fall) == [3, 1, 1])
    #expect(service.checks.map(\.settings.deadline) == [.milliseconds(1750), .milliseconds(100), .zero])
  }

  @Test func topLevelKeys() throws {
    let configuration = try load(
      #"""
      {"instance_id": "h", "heartbeat_path": "/tmp/beat", "statsd": {"host": "127.0.0.1"}, "state_dir": "/run/x",
       "hacheck": {"port": 7777, "bind_address": "127.0.0.1", "spool_root": "/tmp/spool"},
       "max_repeated_report_failures": 10}
      """#)
    #expect(configuration.heartbeatPath == "/tmp/beat")
    #expect(configuration.statsD?.host == "127.0.0.1")
    #expect(configuration.statsD?.port == 8125)
    #expect(configuration.stateDirectory == "/run/x")
    #expect(configuration.hacheck?.ports == [7777])
    #expect(configuration.hacheck?.bindAddress == "127.0.0.1")
    #expect(configuration.hacheck?.spoolRoot == "/tmp/spool")
    #expect(configuration.warnings.isEmpty)
    #expect(try load(#"{"instance_id": "h"}"#).hacheck?.ports == [6666])
    #expect(try load(#"{"instance_id": "h", "hacheck": false}"#).hacheck == nil)
  }

  @Test func theCommandLineNamesTheInstance() throws {
    #expect(try load(#"{"instance_id": "file"}"#, instanceID: "line").instanceID == "line")
    #expect(try load(#"{}"#, instanceID: "line").instanceID == "line")
    #expect(try load(#"{"instance_id": "file"}"#, instanceID: "").instanceID == "file")
  }

  @Test func copiesForALoadTest() throws {
    let services = try load(serviceText(#""load_test_concurrency": 3"#)).services
    #expect(services.map(\.name) == ["web_0", "web_1", "web_2"])
    #expect(Set(services.map(\.key)) == ["web"])
  }

  @Test func oneSessionPerEnsembleHoweverItIsWritten() throws {
    func ensemble(_ hosts: String) throws -> String? {
      let text = serviceText("").replacing(#"["127.0.0.1:2181"]"#, with: hosts)
      return try load(text).services.first?.registry.zooKeeper?.ensemble.description
    }
    #expect(try ensemble(#"["b:2181", "a:2182", "b:2181"]"#) == "a:2182,b:2181")
    #expect(try ensemble(#"["b", "a:2182"]"#) == "a:2182,b:2181")
    #expect(try ensemble(#""a:1""#) == "a:1")
    #expect(try ensemble(#"["a:1,b:2"]"#) == "a:1,b:2")
    #expect(try ensemble(#"["a:1/x/y", "b:1"]"#) == "a:1,b:1/x/y")
  }

  @Test(arguments: [
    (#""host": "10.0.0.9 ""#, "10.0.0.9"), (#""host": "[::1]""#, "::1"),
    (#""haproxy_server_options": 7"#, "10.0.0.5"), (#""labels": null"#, "10.0.0.5"),
    (#""host": "h", "haproxy_server_options": "weight 3", "labels": {"a": 1}"#, "h"),
  ])
  func whatNerveRegistersSynapseReads(_ keys: String, _ host: String) throws {
    let service = try #require(try load(serviceText(keys)).services.first)
    let registration = try #require(service.registry.zooKeeper?.registration)
    #expect(try RegistrationCodec.decode(payload: registration.data, name: registration.name).backend.host == host)
    #expect(service.host == host)
  }

  @Test(arguments: [
    (#""use_path_encoding": "true""#, "use_path_encoding: is neither true nor false, and counts as false"),
    (#""haproxy_server_options": 7"#, "haproxy_server_options: is not a text; readers of the registration ignore it"),
    (#""checks": [{"type": "tcp", "rise": 0}]"#, "checks[0].rise: 0 counts as 1"),
  ])
  func aValueWithoutItsMeaningIsNamed(_ key: String, _ warning: String) throws {
    let configuration = try load(serviceText(key))
    #expect(configuration.services.count == 1)
    #expect(configuration.warnings.map { "\($0.path): \($0.problem)" } == ["services.web.\(warning)"])
  }

  @Test func anInstanceThatCannotBePartOfAServersNameIsNamed() throws {
    #expect(
      try load(#"{"instance_id": "my host"}"#).warnings.map(\.problem) == [
        "`my host` cannot be part of a server's name in HAProxy: synapse skips its registrations"
      ])
  }

  /// The packaged file has `max`: it is of the program on its own, and no reason for nerve to keep its own low limit.
  @Test func hachecksDescriptorLimitIsNotNerves() throws {
    let directory = TemporaryDirectory()
    for limit in ["max", "256"] {
      writeFile(directory.path + "/hacheck.yaml", "cache_time: 7\nrlimit_nofile: \(limit)\n")
      let configuration = try load(
        #"{"instance_id": "h", "hacheck": {"config": "\#(directory.path)/hacheck.yaml"}}"#, in: directory)
      #expect(configuration.hacheck != nil && configuration.hacheck?.descriptorLimit == nil)
    }
  }

  @Test func theTrailingSlashOfAPathIsDropped() throws {
    let service = try #require(try load(serviceText("").replacing("/nerve/web", with: "/nerve/web/")).services.first)
    #expect(service.registry.zooKeeper?.directory == "/nerve/web")
  }

  @Test func servicesInFilesOfTheirOwn() throws {
    let directory = TemporaryDirectory()
    let body = #"{"host": "10.0.0.5", "port": 1, "zk_hosts": ["z:1"], "zk_path": "/p"}"#
    writeFile(directory.path + "/b.json", body)
    writeFile(directory.path + "/web.yaml", "host: 10.0.0.6\nport: 2\nzk_hosts: [z:1]\nzk_path: /p\n")
    writeFile(directory.path + "/bad.yaml", "host: [\n")
    writeFile(directory.path + "/notes.txt", "not read")
    writeFile(directory.path + "/nerve.conf.json", "ignored, replaced below")
    let main = TemporaryDirectory()
    let text = serviceText("").replacing(
      #"{"instance_id""#, with: #"{"service_conf_dir": "\#(directory.path)", "instance_id""#)
    writeFile(directory.path + "/nerve.conf.json", body)
    let configuration = try load(text, in: main)
    #expect(configuration.services.map(\.name) == ["b", "nerve.conf", "web"])
    #expect(configuration.services.map(\.port) == [1, 1, 2])
    #expect(configuration.badServices == ["bad"])
    #expect(configuration.problems.map(\.description.isEmpty) == [false])
    #expect(configuration.problems.allSatisfy { $0.description.contains("bad.yaml:") })
  }

  // MARK: What is refused

  struct Mistake: Sendable, CustomTestStringConvertible {
    var text: String
    /// After the file's name.
    var message: String
    var testDescription: String { message }
  }

  static let fatal = [
    Mistake(
      text: "{}", message: ":1:1: 'instance_id': the name this host registers under is missing; set it here or with -i"),
    Mistake(
      text: "instance_id: a/b\n", message: ":1:14: instance_id: the text \"a/b\" cannot be part of a znode's name"),
    Mistake(text: "[1]", message: ":1:1: expected a mapping, found a list"),
    Mistake(
      text: #"{"instance_id": "h", "services": [1]}"#, message: ":1:34: services: expected a mapping, found a list"),
    Mistake(
      text: #"{"instance_id": "h", "statsd": {"port": 70000}}"#,
      message: ":1:41: statsd.port: 70000 is outside 1...65535"),
    Mistake(
      text: #"{"instance_id": "h", "zk_auth": "secret"}"#,
      message: ":1:33: zk_auth: write user:password"),
    Mistake(
      text: #"{"instance_id": "h", "hacheck": {"port": "x"}}"#,
      message: ":1:42: hacheck.port: expected an integer, found the text \"x\""),
    Mistake(
      text: #"{"instance_id": "h", "service_conf_dir": "/does/not/exist"}"#,
      message: ":1:42: service_conf_dir: cannot list /does/not/exist: No such file or directory"),
  ]

  @Test("a file that is of no use", arguments: fatal) func wholeFile(_ mistake: Mistake) throws {
    let directory = TemporaryDirectory()
    let error = try #require(throws: ConfigError.self) { _ = try load(mistake.text, in: directory) }
    #expect(error.description == directory.path + "/nerve.conf.json" + mistake.message)
  }

  @Test func aFileThatIsNotThere() throws {
    let error = try #require(throws: ConfigError.self) {
      _ = try NerveConfiguration.load(path: "/does/not/exist")
    }
    #expect(error.description == "/does/not/exist: cannot open /does/not/exist: No such file or directory")
  }

  @Test func aSyntaxErrorSaysWhere() throws {
    let directory = TemporaryDirectory()
    let error = try #require(throws: ConfigError.self) {
      _ = try load("{\"instance_id\": \"h\",\n \"services\": {\n", in: directory)
    }
    #expect(error.line == 3)
    #expect(error.description.hasPrefix(directory.path + "/nerve.conf.json:3:"))
  }

  /// What is written in the service's place, and what is said about it.
  static let bad: [(String, String)] = [
    (#""weight": "heavy""#, "services.web.weight: expected an integer, found the text \"heavy\""),
    (#""weight": 1.5"#, "services.web.weight: expected an integer, found the number 1.5"),
    (#""weight": -1"#, "services.web.weight: -1 is outside 0...2147483647"),
    (#""weight": null"#, "services.web.weight: is null; a whole number from 0 on is needed, or no such key"),
    (#""port": 0"#, "services.web.port: 0 is outside 1...65535"),
    (#""port": null"#, "services.web.port: is null, and a value is needed"),
    (#""host": """#, "services.web.host: \"\" is neither an address nor a host name"),
    (#""host": "10.0.0.9 x""#, "services.web.host: \"10.0.0.9 x\" is neither an address nor a host name"),
    (#""labels": "x""#, "services.web.labels: expected a mapping, found the text \"x\""),
    (
      #""haproxy_server_options": "a;b""#,
      "services.web.haproxy_server_options: only one line of plain words is allowed: no quotes, backslashes, "
        + "control characters, # or ;"
    ),
    (#""reporter_type": "smoke""#, "services.web.reporter_type: 'smoke' is not one of zookeeper, etcd, file"),
    (
      #""node_type": "ephemeral-ish""#,
      "services.web.node_type: 'ephemeral-ish' is not one of ephemeral, ephemeral_sequential, persistent, "
        + "persistent_sequential"
    ),
    (#""zk_hosts": []"#, "services.web.zk_hosts: names no host"),
    (#""zk_hosts": ["a b:1"]"#, "services.web.zk_hosts: `a b:1` is not a HOST[:PORT]"),
    (#""zk_hosts": ["a:1/x", "b:1/y"]"#, "services.web.zk_hosts: has different paths below the hosts: /x, /y"),
    (#""zk_path": "nerve""#, "services.web.zk_path: 'nerve' does not begin with a slash"),
    (#""zk_path": "/a//b""#, "services.web.zk_path: '/a//b' is not a path of a znode"),
    (#""zk_path": "/a/../b""#, "services.web.zk_path: '/a/../b' is not a path of a znode"),
    (#""check_interval": 0"#, "services.web.check_interval: 0.0 seconds is outside 0.001...86400.0"),
    (#""check_mocked": "no""#, "services.web.check_mocked: expected true or false, found the text \"no\""),
    (
      #""rate_limiting": {"average_rate": -1}"#,
      "services.web.rate_limiting.average_rate: -1 is outside 0.0...1000000000.0"
    ),
    (#""checks": {"type": "tcp"}"#, "services.web.checks: expected a list, found a mapping"),
    (
      #""checks": [{"type": "smoke"}]"#,
      "services.web.checks[0].type: 'smoke' is not one of exec, http, mysql, noop, rabbitmq, redis, smtp, tcp"
    ),
    (#""checks": [{}]"#, "services.web.checks[0]: the key 'type' is missing"),
    (#""checks": [{"type": "http"}]"#, "services.web.checks[0]: the key 'uri' is missing"),
    (
      #""checks": [{"type": "http", "uri": "/a b"}]"#,
      "services.web.checks[0].uri: holds a blank or a control character; encode it with %"
    ),
    (
      #""checks": [{"type": "http", "uri": "/", "headers": {"A:": "x"}}]"#,
      "services.web.checks[0].headers: 'A:' or its value cannot be sent as a header"
    ),
  ]

  @Test("a service that is skipped", arguments: bad) func badService(_ more: String, _ message: String) throws {
    let good = #", "zz": {"host": "h", "port": 1, "zk_hosts": ["z:1"], "zk_path": "/z"}}}"#
    let text = String(serviceText(more).dropLast(2)) + good
    let configuration = try load(text)
    #expect(configuration.services.map(\.name) == ["zz"])
    #expect(configuration.badServices == ["web"])
    let problem = try #require(configuration.problems.first)
    #expect("\(problem.path): \(problem.problem)" == message)
    #expect(problem.line >= 1)
  }

  @Test func whatIsMissing() throws {
    for key in ["host", "port", "zk_hosts", "zk_path"] {
      let service: [String: String] = ["host": "\"h\"", "port": "1", "zk_hosts": "[\"z:1\"]", "zk_path": "\"/z\""]
      let body = service.filter { $0.key != key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ")
      let configuration = try load(#"{"instance_id": "h", "services": {"web": {\#(body)}}}"#)
      #expect(configuration.services.isEmpty)
      let problems = configuration.problems.map { "\($0.path): \($0.problem)" }
      #expect(problems == ["services.web: the key '\(key)' is missing"])
    }
  }

  @Test func unknownKeysOfASkippedServiceAreNamed() throws {
    let configuration = try load(
      #"{"instance_id": "h", "services": {"web": {"host": "h", "port": 1, "zk_hosts": ["z:1"], "zk_paht": "/z", "foo": 1}}}"#
    )
    #expect(configuration.badServices == ["web"])
    #expect(
      configuration.warnings.map { "\($0.path): \($0.problem)" } == [
        "services.web.zk_paht: unknown key, ignored; is it 'zk_path'?", "services.web.foo: unknown key, ignored",
      ])
  }

  @Test func synapsesFileIsRecognized() {
    let error = #expect(throws: ConfigError.self) {
      try load(#"{"services": {}, "haproxy": {"global": [], "defaults": []}}"#)
    }
    #expect(error?.problem == "this looks like synapse's file, not nerve's")
  }

  @Test func unknownKeysAreWarnings() throws {
    let configuration = try load(serviceText(#""foo": {"bar": 1}, "wieght": 3"#))
    #expect(configuration.services.count == 1)
    let warnings = configuration.warnings.map { "\($0.path): \($0.problem)" }
    #expect(
      warnings == [
        "services.web.foo: unknown key, ignored", "services.web.wieght: unknown key, ignored; is it 'weight'?",
      ])
  }
}

import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig
import ZooKeeper

@testable import Registry
@testable import SynapseAgent

@Suite("configuration") struct ConfigurationTests {
  private func load(_ text: String, files: [String: String] = [:]) throws -> SynapseConfiguration {
    let directory = TemporaryDirectory()
    try Files.makeDirectory(directory.path + "/conf.d", mode: 0o755)
    for (name, text) in files {
      try Files.write(Array(text.utf8), to: "\(directory.path)/\(name)", mode: 0o644, sync: false)
    }
    let text = text.split(separator: "DIR", omittingEmptySubsequences: false).joined(separator: directory.path)
    try Files.write(Array(text.utf8), to: directory.path + "/synapse.conf.json", mode: 0o644, sync: false)
    return try ConfigurationLoader(environment: ["PORT": "3213"]).load(directory.path + "/synapse.conf.json")
  }

  /// A file's name without its directory, so that sentences can be compared whole.
  private func sentence(_ error: some CustomStringConvertible) -> String {
    error.description.split(separator: "/").dropFirst(2).joined(separator: "/")
  }

  private static let haproxy = """
    haproxy:
      do_writes: false
      do_reloads: false
      do_socket: false
      global: [daemon]
      defaults: [mode http]

    """

  @Test func aSocketThatTheFileDoesNotMakeIsAProblem() throws {
    func problems(_ global: String) throws -> [String] {
      let text = """
        haproxy:
          config_file_path: /run/h.cfg
          reload_command: "true"
          socket_file_path: /run/h.sock
          global: ['\(global)']
          defaults: []
        services: {}

        """
      return try #require(try load(text).haproxy).socketProblems
    }
    #expect(try problems("stats socket /run/h.sock mode 600 level admin").isEmpty)
    #expect(try problems("stats socket unix@/run/h.sock level admin expose-fd listeners").isEmpty)
    #expect(try problems("stats socket ${SOCKET} level admin").isEmpty)
    #expect(
      try problems("stats socket /run/other.sock level admin") == [
        "haproxy.socket_file_path: no line `stats socket /run/h.sock level admin` in haproxy.global makes this socket"
      ])
    #expect(try problems("stats socket /run/h.sock level operator").first?.contains("lacks `level admin`") == true)
    #expect(try problems("maxconn 10").count == 1)
  }

  private static let wholeService = """
    services:
      web.main:
        discovery:
          method: zookeeper
          hosts: ["b:2181", "a:2181"]
          path: /svc/web/
          generator_config_path: /conf/web
          decode: {method: serverset, endpoint_name: http}
          discovery_jitter: 3
          retry_policy: {max_attempts: 3}
          label_filter: {label: az, value: 1, condition: equals}
          label_filters:
            - {label: "region:r1", value: "", condition: not-equals}
        default_servers:
          - {name: d, host: 10.0.0.9, port: "99", weight: 3, labels: {a: b}, haproxy_server_id: 4}
        keep_default_servers: true
        use_previous_backends: false
        backend_port_override: "8080"
        leader_election: true
        file_output: {disabled: true}
        haproxy:
          port: "<%= ENV['PORT'] %>"
          bind_address: 127.0.0.5
          bind_options: accept-proxy
          server_options: check
          frontend: mode http
          backend: ["option httplog", "balance leastconn"]
          listen:
          backend_name: web
          backend_order: asc
          cookie_value_method: hash
          shared_frontend: ["acl x y"]
          use_nerve_weights: true
    """

  @Test func everyKeyOfAServiceIsRead() throws {
    let configuration = try load(ConfigurationTests.haproxy + ConfigurationTests.wholeService)
    #expect(configuration.skipped.isEmpty)
    #expect(configuration.warnings.isEmpty)
    let service = try #require(configuration.services.first)
    var zookeeper = ZooKeeperDiscovery(ensemble: try ServerList(["b:2181", "a:2181"]), path: "/svc/web")
    zookeeper.generatorConfigPath = "/conf/web"
    zookeeper.decoding = .serverset(endpoint: "http")
    zookeeper.jitter = .seconds(3)
    #expect(
      service.discovery
        == Discovery(
          zookeeper,
          labelFilters: [
            LabelFilter(label: "az", value: .json("1")),
            LabelFilter(label: "region:r1", value: "", condition: .notEquals),
          ]))
    #expect(
      service.rules.defaultServers == [
        Backend(name: "d", host: "10.0.0.9", port: 99, weight: 3, labels: ["a": "b"], haproxyServerID: 4)
      ])
    #expect(service.rules.keepsDefaultServers && !service.rules.usesPreviousBackends && service.rules.electsLeader)
    #expect(service.rules.portOverride == 8080)
    #expect(!service.writesFile)
    var expected = ServiceSettings(service: "web.main")
    expected.port = .number("3213")
    expected.bindAddress = "127.0.0.5"
    expected.bindOptions = "accept-proxy"
    expected.serverOptions = "check"
    expected.frontend = ["mode http"]
    expected.backend = ["option httplog", "balance leastconn"]
    expected.backendName = "web"
    expected.backendOrder = .ascending
    expected.hashesCookies = true
    expected.sharedFrontend = ["acl x y"]
    expected.usesNerveWeights = true
    expected.source = service.haproxy.source
    #expect(service.haproxy == expected)
  }

  @Test func everyTopLevelKeyIsRead() throws {
    let configuration = try load(
      """
      {"state_dir": "/s", "first_data_deadline": 3, "statsd": {"host": "h", "port": "99", "sample_rate": {"a": 0.5}},
       "file_output": {"output_directory": "/out"}, "services": {},
       "haproxy": {"global": ["daemon"], "defaults": ["mode http"], "config_file_path": "/h.cfg",
        "candidate_config_file_path": "/h.new", "do_checks": true, "check_command": "true",
        "socket_file_path": ["/a", "/b"], "reload_command": "reload it", "restart_interval": 60,
        "restart_jitter": 0.1, "state_file_path": "/state", "state_file_ttl": 1800, "bind_address": "127.0.0.1",
        "server_order_seed": 287082361023981723981723987129837198237, "max_server_id": 100,
        "shared_frontend": "bind :80", "use_nerve_weights": true,
        "extra_sections": {"listen stats": ["bind :3212"], "frontend x": []}}}
      """)
    let haproxy = try #require(configuration.haproxy)
    #expect(haproxy.filePath == "/h.cfg")
    #expect(haproxy.candidatePath == "/h.new")
    #expect(haproxy.check == .command("true"))
    #expect(haproxy.sockets == ["/a", "/b"])
    #expect(haproxy.reload == .command("reload it"))
    #expect(haproxy.reloadInterval == .seconds(60))
    #expect(haproxy.reloadJitter == 0.1)
    #expect(haproxy.stateFilePath == "/state")
    var generator = GeneratorSettings()
    generator.global = ["daemon"]
    generator.defaults = ["mode http"]
    generator.extraSections = [
      ExtraSection(title: "listen stats", lines: ["bind :3212"]), ExtraSection(title: "frontend x", lines: []),
    ]
    generator.sharedFrontend = ["bind :80"]
    generator.bindAddress = "127.0.0.1"
    generator.serverOrderSeed = "287082361023981723981723987129837198237"
    generator.maxServerID = 100
    generator.stateFileTTL = 1800
    generator.keepsGoneServers = true
    generator.usesNerveWeights = true
    #expect(haproxy.generator == generator)
    let statsd = try #require(configuration.statsd)
    #expect(statsd == ("h", 99, ["a": 0.5]))
    #expect(configuration.fileOutputDirectory == "/out")
    #expect(configuration.stateDirectory == "/s")
    #expect(configuration.firstDataDeadline == .seconds(3))
    #expect(configuration.warnings.isEmpty)
  }

  @Test func defaultsAreUpstreams() throws {
    let configuration = try load(ConfigurationTests.haproxy + "services: {web: {discovery: {method: base}}}\n")
    let haproxy = try #require(configuration.haproxy)
    #expect(haproxy.check == .installedHAProxy)
    #expect(haproxy.reloadInterval == .seconds(2))
    #expect(haproxy.sockets.isEmpty)
    #expect(haproxy.reload == nil)
    #expect(configuration.services.first?.haproxy.port == .omitted)
    #expect(configuration.services.first?.rules == BackendPolicy.Rules())
  }

  struct Fatal: Sendable, CustomTestStringConvertible {
    var text: String
    var sentence: String
    var testDescription: String { sentence }
  }

  static let fatal = [
    Fatal(
      text: "a: [",
      sentence: "synapse.conf.json:2:1: did not find expected node content "
        + "(while parsing a flow node, which starts in line 2)"),
    Fatal(
      text: "nginx: {}\n",
      sentence: "synapse.conf.json:1:8: nginx: there is no configuration generator 'nginx' here; "
        + "its listeners would be missing without a word"),
    Fatal(
      text: "services: {}\n",
      sentence: "synapse.conf.json:1:1: neither 'haproxy' nor 'file_output' nor 'exec_output' is given: "
        + "there is nothing to keep"),
    Fatal(
      text: "haproxy: {defaults: []}\n", sentence: "synapse.conf.json:1:10: haproxy: the key 'global' is missing"),
    Fatal(
      text: "haproxy: {global: [], defaults: [], do_socket: false, do_reloads: false}\n",
      sentence: "synapse.conf.json:1:10: haproxy: the key 'config_file_path' is missing; "
        + "it is needed while 'do_writes' is true"),
    Fatal(
      text: "haproxy: {global: [], defaults: [], do_writes: false, do_reloads: false}\n",
      sentence: "synapse.conf.json:1:10: haproxy: the key 'socket_file_path' is missing; "
        + "it is needed while 'do_socket' is true"),
    Fatal(
      text: "haproxy: {global: [], defaults: [], do_writes: false, do_socket: false}\n",
      sentence: "synapse.conf.json:1:10: haproxy: the key 'reload_command' is missing; "
        + "it is needed while 'do_reloads' is true"),
    Fatal(
      text: haproxy + "  do_checks: true\n",
      sentence: "synapse.conf.json:2:3: haproxy: the key 'check_command' is missing; "
        + "it is needed while 'do_checks' is true"),
    Fatal(
      text: haproxy + "  do_writes: maybe\n",
      sentence: "synapse.conf.json:7:14: haproxy.do_writes: expected true or false, found the text \"maybe\""),
    Fatal(
      text: haproxy + "file_output: {}\n",
      sentence: "synapse.conf.json:7:14: file_output: the key 'output_directory' is missing"),
    Fatal(
      text: haproxy + "services: []\n", sentence: "synapse.conf.json:7:11: services: expected a mapping, found a list"),
    Fatal(
      text: haproxy + "x: <%= `reboot` %>\n",
      sentence: "synapse.conf.json:7:4: ERB is not run: \"<%= `reboot` %>\"; only <%= ENV['NAME'] %> is replaced"),
    Fatal(
      text: haproxy + "service_conf_dir: /nonexistent\n",
      sentence: "synapse.conf.json:7:19: service_conf_dir: cannot list /nonexistent: No such file or directory"),
  ]

  @Test("nothing starts with a broken top level", arguments: fatal) func aBrokenTopLevelIsRefused(_ c: Fatal) throws {
    let error = try #require(throws: ConfigError.self) { try load(c.text) }
    #expect(sentence(error) == c.sentence)
  }

  struct Bad: Sendable, CustomTestStringConvertible {
    var service: String
    var sentence: String
    var testDescription: String { sentence }
  }

  static let bad = [
    Bad(service: "null", sentence: ":8:8: services.bad: the key 'discovery' is missing"),
    Bad(service: "[]", sentence: ":8:8: services.bad: expected a mapping, found a list"),
    Bad(service: "{discovery: {}}", sentence: ":8:20: services.bad.discovery: the key 'method' is missing"),
    Bad(
      service: "{discovery: {method: pigeon}}",
      sentence: ":8:29: services.bad.discovery.method: there is no discovery method 'pigeon'"),
    Bad(
      service: "{discovery: {method: ec2tag}}",
      sentence: ":8:20: services.bad.discovery: ec2tag knows no ports: the service needs a backend_port_override"),
    Bad(
      service: "{discovery: {method: zookeeper, hosts: [a]}}",
      sentence: ":8:20: services.bad.discovery: the key 'path' is missing"),
    Bad(
      service: "{discovery: {method: zookeeper, path: /a}}",
      sentence: ":8:20: services.bad.discovery: the key 'hosts' is missing"),
    Bad(
      service: "{discovery: {method: zookeeper, path: a, hosts: [a]}}",
      sentence: ":8:46: services.bad.discovery.path: 'a' is not an absolute ZooKeeper path"),
    Bad(
      service: "{discovery: {method: zookeeper, path: /a, hosts: [a], decode: {method: xml}}}",
      sentence: ":8:79: services.bad.discovery.decode.method: 'xml' is not one of nerve, serverset"),
    Bad(
      service: "{discovery: {method: base, label_filters: [{label: a, condition: like}]}}",
      sentence: ":8:73: services.bad.discovery.label_filters[0].condition: 'like' is not one of equals, not-equals"),
    Bad(
      service: "{discovery: {method: base}, default_servers: [{host: a}]}",
      sentence: ":8:54: services.bad.default_servers[0]: the key 'port' is missing"),
    Bad(
      service: "{discovery: {method: base}, default_servers: [{host: \"a\\nb\", port: 1}]}",
      sentence: ":8:61: services.bad.default_servers[0].host: "
        + "\"a\\nb\" is neither an address nor a host name"),
    Bad(
      service: "{discovery: {method: base}, backend_port_override: http}",
      sentence: ":8:59: services.bad.backend_port_override: expected an integer, found the text \"http\""),
    Bad(
      service: "{discovery: {method: base}, haproxy: {port: 70000}}",
      sentence: ":8:52: services.bad.haproxy.port: 70000 is outside 1...65535"),
    Bad(
      service: "{discovery: {method: base}, haproxy: {server_options: \"check\\nserver x\"}}",
      sentence: ":8:62: services.bad.haproxy.server_options: "
        + "holds a line break, and becomes a part of one line"),
    Bad(
      service: "{discovery: {method: multi, watchers: {a: {method: base}}, resolver: {method: first}}}",
      sentence: ":8:86: services.bad.discovery.resolver.method: there is no resolver 'first'"),
    Bad(
      service: "{discovery: {method: multi, watchers: {a: {method: base}}, "
        + "resolver: {method: sequential, sequential_order: [b]}}}",
      sentence: ":8:116: services.bad.discovery.resolver.sequential_order: must name each watcher once: a"),
  ]

  @Test("one bad service is skipped and named, the others are run", arguments: bad) func aBadServiceIsSkipped(_ c: Bad)
    throws
  {
    let configuration = try load(
      ConfigurationTests.haproxy + "services:\n  bad: \(c.service)\n  good: {discovery: {method: base}}\n")
    #expect(configuration.services.map(\.name) == ["good"])
    let skipped = try #require(configuration.skipped.first)
    #expect(skipped.name == "bad")
    #expect(sentence(skipped) == "synapse.conf.json\(c.sentence); service bad is skipped")
  }

  @Test func aServicePerFile() throws {
    let configuration = try load(
      ConfigurationTests.haproxy + "services: {a: {discovery: {method: base}}}\nservice_conf_dir: DIR/conf.d\n",
      files: [
        "conf.d/c.yaml": "discovery: {method: base}\n", "conf.d/b.json": #"{"discovery": {"method": "base"}}"#,
        "conf.d/a.json": #"{"discovery": {"method": "base"}, "leader_election": true}"#, "conf.d/d.yaml": "x: [",
        "conf.d/ignored.txt": "x",
      ])
    #expect(configuration.services.map(\.name) == ["a", "b", "c"])
    #expect(configuration.services.first?.rules.electsLeader == true)
    #expect(configuration.skipped.map(\.name) == ["d"])
    #expect(configuration.skipped.first?.error.file.hasSuffix("conf.d/d.yaml") == true)
  }

  @Test func aLoadTestServiceIsCopied() throws {
    let configuration = try load(
      ConfigurationTests.haproxy + "services: {a: {discovery: {method: base}, load_test_concurrency: 2}}\n")
    #expect(configuration.services.map(\.name) == ["a_0", "a_1"])
    #expect(configuration.services.map(\.haproxy.service) == ["a_0", "a_1"])
  }

  @Test func severalDiscoveriesUnderOneName() throws {
    let configuration = try load(
      ConfigurationTests.haproxy + """
        services:
          a:
            discovery: {method: base}
            discovery_multi:
              watchers: {second: {method: zookeeper, path: /b, hosts: h}}
              resolver: {method: sequential, sequential_order: [primary, second]}
        """)
    let second = Discovery(ZooKeeperDiscovery(ensemble: try ServerList(["h"]), path: "/b"))
    #expect(
      configuration.services.first?.discovery
        == Discovery(
          MultiDiscovery(
            parts: [
              NamedDiscovery(name: "second", discovery: second),
              NamedDiscovery(name: "primary", discovery: Discovery(BaseDiscovery())),
            ], resolver: .sequential(["primary", "second"]))))
  }

  @Test func unknownKeysOfASkippedServiceAreNamed() throws {
    let configuration = try load(ConfigurationTests.haproxy + "services: {a: {discovry: {method: base}, foo: 1}}\n")
    #expect(configuration.skipped.map(\.name) == ["a"])
    #expect(
      configuration.warnings.map(\.problem) == [
        "unknown key, ignored; is it 'discovery'?", "unknown key, ignored",
      ])
  }

  @Test func nervesFileIsRecognized() {
    let error = #expect(throws: ConfigError.self) { try load(#"{"instance_id": "h", "services": {}}"#) }
    #expect(error?.problem == "this looks like nerve's file, not synapse's")
  }

  @Test func unknownKeysAreWarnings() throws {
    let configuration = try load(
      ConfigurationTests.haproxy + "services: {a: {discovery: {method: base}, haproxy: {server_option: 1}}}\n")
    #expect(
      configuration.warnings.map { sentence($0) } == [
        "synapse.conf.json:7:53: services.a.haproxy.server_option: unknown key, ignored; is it 'server_options'?"
      ])
  }

  @Test func aJitterOutOfRangeIsIgnored() throws {
    let configuration = try load(
      ConfigurationTests.haproxy
        + "services: {a: {discovery: {method: zookeeper, hosts: h, path: /a, discovery_jitter: 121}}}\n")
    let service = try #require(configuration.services.first)
    #expect(service.discovery == Discovery(ZooKeeperDiscovery(ensemble: try ServerList(["h"]), path: "/a")))
    #expect(
      configuration.warnings.map { sentence($0) } == [
        "synapse.conf.json:7:85: services.a.discovery.discovery_jitter: is outside 0...120, and ignored"
      ])
  }
}

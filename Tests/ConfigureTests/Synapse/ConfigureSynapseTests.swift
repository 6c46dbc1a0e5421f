import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Configure

@Suite("configure_synapse: services and options") struct ConfigureSynapseTests {
  struct Mistake: Sendable, CustomTestStringConvertible {
    var yaml: String
    var sentence: String
    var testDescription: String { yaml }
  }

  static let mistakes = [
    Mistake(
      yaml: "proxy_port: '20060'",
      sentence: "2:15: main.proxy_port: expected a port number or null, found the text \"20060\""),
    Mistake(
      yaml: "proxy_port: 0",
      sentence:
        "2:15: main.proxy_port: 0 is not a port; null gives discovery without a proxy, no proxy_port nothing at all"),
    Mistake(yaml: "proxy_port: 70000", sentence: "2:15: main.proxy_port: 70000 is outside 0...65535"),
    Mistake(yaml: "proxy_port: .inf", sentence: "2:15: main.proxy_port: expected an integer, found the number .inf"),
    Mistake(
      yaml: "proxy_port: 1\n  discover: zone",
      sentence:
        "3:13: main.discover: 'zone' is not a location type (ecosystem, superregion, region, habitat)"
    ),
    Mistake(
      yaml: "proxy_port: 1\n  discover: habitat",
      sentence:
        "3:13: main.discover: the service is discovered by 'habitat', which is not among the types it is advertised in (region)"
    ),
    Mistake(
      yaml: "proxy_port: 1\n  advertise: [planet]",
      sentence: "3:15: main.advertise[0]: 'planet' is not a location type (ecosystem, superregion, region, habitat)"),
    Mistake(
      yaml: "proxy_port: 1\n  advertise: region",
      sentence: "3:14: main.advertise: expected a list, found the text \"region\""),
    Mistake(
      yaml: "proxy_port: 1\n  mode: ht tp",
      sentence: "3:9: main.mode: expected http, tcp or https, found the text \"ht tp\""),
    Mistake(
      yaml: "proxy_port: 1\n  timeout_server_ms: 3s",
      sentence: "3:22: main.timeout_server_ms: expected a number, found the text \"3s\""),
    Mistake(
      yaml: "proxy_port: 1\n  timeout_server_ms: -1",
      sentence: "3:22: main.timeout_server_ms: -1 is outside 0...2147483647"),
    Mistake(yaml: "proxy_port: 1\n  retries: [1]", sentence: "3:12: main.retries: expected a number, found a list"),
    Mistake(
      yaml: "proxy_port: 1\n  extra_headers:", sentence: "3:17: main.extra_headers: expected a mapping, found null"),
    Mistake(
      yaml: "proxy_port: 1\n  extra_headers: {'A B': c}",
      sentence: "3:26: main.extra_headers.\"A B\": 'A B' is not a header's name"),
    Mistake(
      yaml: "proxy_port: 1\n  extra_headers: {A: \"b\\nc\"}",
      sentence: "3:22: main.extra_headers.A: a header's value is one line without control characters"),
    Mistake(
      yaml: "proxy_port: 1\n  healthcheck_uri: /a b",
      sentence:
        "3:20: main.healthcheck_uri: a blank, quote, backslash or # cannot stand in a path; write it as %20, %22, %27, %5C, %23"
    ),
    Mistake(
      yaml: "proxy_port: 1\n  endpoint_timeouts: {'/a b': 1}",
      sentence:
        "3:31: main.endpoint_timeouts.\"/a b\": the path '/a b' cannot be part of a backend's name: only letters, digits and /.:_- can"
    ),
    Mistake(
      yaml: "proxy_port: 1\n  endpoint_timeouts: {/a/b: 1, /a__b: 2}",
      sentence:
        "3:39: main.endpoint_timeouts./a__b: the paths '/a/b' and '/a__b' would share one backend, '__a__b_timeouts'"),
    Mistake(
      yaml: "proxy_port: 1\n  chaos: {habitat: {west-1a: {delay: soon}}}",
      sentence: "3:38: main.chaos.habitat.west-1a.delay: expected a time such as 200ms, found the text \"soon\""),
    Mistake(
      yaml: "proxy_port: 1\n  chaos: {../x: {}}", sentence: "3:17: main.chaos.../x: '../x' is not a location type"),
    Mistake(
      yaml: "proxy_port: 1\n  plugins: {logging: {enabled: true, sample_rate: often}}",
      sentence: "3:51: main.plugins.logging.sample_rate: expected a number, found the text \"often\""),
    Mistake(
      yaml: "proxy_port: 1\n  proxied_through: a b",
      sentence: "3:20: main.proxied_through: 'a b' is not the name of a service's namespace"),
    Mistake(
      yaml: "proxy_port: &a [*a]", sentence: "2:19: main.proxy_port[0]: the alias *a stands inside of what it names"),
  ]

  @Test("one mistake costs one service and is named", arguments: mistakes)
  func oneMistakeCostsOneServiceAndIsNamed(_ mistake: Mistake) throws {
    let world = try HostFiles([
      "bad/smartstack.yaml": "main:\n  \(mistake.yaml)\n", "good/smartstack.yaml": "main: {proxy_port: 20001}\n",
    ])
    let made = try world.make()
    let subject = mistake.sentence.contains("alias") ? "bad" : "bad.main"
    #expect(
      made.problems.flatMap(\.lines).map { world.plain($0) } == [
        "\(subject) is skipped: soa/bad/smartstack.yaml:\(mistake.sentence)"
      ])
    #expect(JSONValue(made.text.utf8)?["services"]?.object?.keys == ["good.main"])
  }

  struct HostMistake: Sendable, CustomTestStringConvertible {
    var file: String
    var text: String?
    var sentence: String
    var testDescription: String { file + (text ?? " missing") }
  }

  static let hostMistakes = [
    HostMistake(
      file: "nail/region", text: "\n", sentence: "nail/region: expected one line with the region that this host is in"),
    HostMistake(
      file: "nail/services/location_types.json", text: nil,
      sentence: "nail/services/location_types.json: there is no such file"),
    HostMistake(file: "zookeeper.yaml", text: nil, sentence: "zookeeper.yaml: there is no such file"),
    HostMistake(
      file: "zookeeper.yaml", text: "[[a, b]]",
      sentence: "zookeeper.yaml:1:6: [0][1]: expected a port number, found the text \"b\""),
    HostMistake(file: "envoy_migration.yaml", text: "[", sentence: "envoy_migration.yaml:2:1: did not find"),
    HostMistake(
      file: "envoy_migration.yaml", text: "[]", sentence: "envoy_migration.yaml:1:1: expected a mapping, found a list"),
    HostMistake(
      file: "synapse-tools.conf.json", text: "{\"config_file\": ", sentence: "synapse-tools.conf.json:2:1: did not find"
    ),
    HostMistake(
      file: "synapse-tools.conf.json", text: "{}",
      sentence:
        "synapse-tools.conf.json:1:1: missing key 'config_file': the path of the synapse.conf.json to be written"),
  ]

  @Test("the host's own mistakes stop the run", arguments: hostMistakes)
  func aMistakeOfTheHostStopsTheRun(_ mistake: HostMistake) throws {
    let world = try HostFiles(["web/smartstack.yaml": "main: {proxy_port: 20001}\n"])
    if let text = mistake.text {
      try world.put(mistake.file, text)
    } else {
      try Files.remove("\(world.path)/\(mistake.file)")
    }
    let error = try #require(throws: ConfigError.self) { _ = try world.make() }
    #expect(world.plain(error).hasPrefix(mistake.sentence))
  }

  static let optionMistakes: [(String, JSONValue, String)] = [
    ("haproxy_reload_cmd_fmt", "{nope}", "there is nothing called 'nope' to be put in for {nope}"),
    ("haproxy_reload_cmd_fmt", "a } b", "a single '}' stands in the text; a brace itself is written '}}'"),
    ("haproxy_service_sockets_path_fmt", "/s/{", "a single '{' stands in the text; a brace itself is written '{{'"),
    ("bind_addr", .null, "expected text, found null"),
    ("bind_addr", "a b", "expected one word, found the text \"a b\""),
    ("stats_port", "x", "expected a number, found the text \"x\""),
    ("haproxy.defaults.inter", "often", "expected a time such as 10m, found the text \"often\""),
    ("haproxy.defaults.timeout_check", "long", "expected a time such as 10m, found the text \"long\""),
    ("haproxy.defaults.observe", "layer3", "expected layer4, layer7, found the text \"layer3\""),
    (
      "haproxy.defaults.on_error", "explode",
      "expected fastinter, fail-check, sudden-death, mark-down, found the text \"explode\""
    ),
    ("haproxy_captured_req_headers", "A:b", "'A:b' is not NAME or NAME:LENGTH"),
    ("logging", .null, "expected a mapping, found null"),
    ("errorfiles", ["40": "/x"], "'40' is not an HTTP status"),
    ("synapse_restart_command", [], "expected a program and its arguments"),
    ("file_output_path", "/a\nb", "a line break or control character cannot stand here"),
    ("status_port", 0, "0 is outside 1...65535"),
    ("haproxy_extra_lines", ["frontend": ["x"]], "'frontend' is not one of global, defaults and listen stats"),
    ("haproxy_extra_lines", ["global": ["a\nb"]], "a line break or control character cannot stand here"),
  ]

  @Test("options are checked and named", arguments: optionMistakes)
  func optionsAreCheckedAndNamed(_ key: String, _ value: JSONValue, _ sentence: String) throws {
    let world = try HostFiles(options: [key: value])
    let error = try #require(throws: ConfigError.self) { _ = try world.make() }
    #expect(error.problem == sentence)
    #expect(error.path.contains(key.split(separator: ".")[0]))
  }

  @Test func unreachableHostsMayBeFoundByClientsRequests() throws {
    let services = ["web/smartstack.yaml": "main: {proxy_port: 20001}\ntcp: {proxy_port: 20002, mode: tcp}\n"]
    func lines(_ options: [String: JSONValue]) throws -> (defaults: [String], servers: [String]) {
      let tree = try HostFiles(services, options: options).tree()
      let names = ["web.main", "web.tcp"]
      return (
        tree["haproxy"]?["defaults"]?.array?.compactMap(\.string).filter {
          $0.hasPrefix("timeout check") || $0.hasPrefix("default-server")
        } ?? [],
        names.compactMap { tree["services"]?[$0]?["haproxy"]?["server_options"]?.string }
      )
    }
    let rest = "error-limit 1 inter 10m downinter 30s fastinter 30s rise 1 fall 2"
    let usual = try lines([:])
    #expect(usual.defaults == ["default-server on-error fastinter \(rest)"])
    #expect(usual.servers.map { String($0.dropFirst(24).prefix(6)) } == ["layer7", "layer4"], "\(usual.servers)")
    let advised = try lines([
      "haproxy.defaults.timeout_check": "2s", "haproxy.defaults.observe": "layer4",
      "haproxy.defaults.on_error": "mark-down",
    ])
    #expect(advised.defaults == ["default-server on-error mark-down \(rest)", "timeout check 2s"])
    #expect(advised.servers.allSatisfy { $0.contains(" observe layer4 ") } && advised.servers.count == 2)
  }

  @Test func synapsesPageAndLinesOfTheOperatorsOwnAreWritten() throws {
    let services = ["web/smartstack.yaml": "main: {proxy_port: 20001}\nother: {proxy_port: 3213}\n"]
    let usual = try HostFiles(services).tree()
    #expect(usual["status_port"] == nil)
    let world = try HostFiles(
      services,
      options: [
        "status_port": 3213,
        "haproxy_extra_lines": [
          "global": ["log /dev/log local1"], "defaults": ["option redispatch"],
          "listen stats": ["http-request use-service prometheus-exporter if { path /metrics }"],
        ],
      ])
    let tree = try world.tree()
    #expect(tree["status_port"] == 3213)
    for (section, line) in [("global", "log /dev/log local1"), ("defaults", "option redispatch")] {
      let lines = try #require(tree["haproxy"]?[section]?.strings)
      #expect(lines.contains(line) && lines.filter { $0 != line } == usual["haproxy"]?[section]?.strings, "\(lines)")
    }
    #expect(
      tree["haproxy"]?["extra_sections"]?["listen stats"]?.strings?.last
        == "http-request use-service prometheus-exporter if { path /metrics }")
    // The page's port is not a service's any more.
    #expect(tree["services"]?["web.main"] != nil)
    #expect(tree["services"]?["web.other"]?["haproxy"]?["disabled"] == true || tree["services"]?["web.other"] == nil)
  }

  @Test func anUnknownOptionIsAWarning() throws {
    let world = try HostFiles(options: ["bind_adr": "::1", "haproxy_reload_cmd_fmt": "x {bind_adr}"])
    let made = try world.make()
    #expect(made.warnings.map(\.path) == ["bind_adr"])
    #expect(made.options.reloadCommand == "x ::1")
  }

  @Test func nginxIsForUpstreamsSynapse() throws {
    let world = try HostFiles(options: ["listen_with_nginx": true])
    #expect(
      try world.make().warnings.map { "\($0.path): \($0.problem)" } == [
        "listen_with_nginx: this synapse has no nginx and refuses a file with the section 'nginx', so the current one "
          + "would stay; take the option out and let HAProxy listen, unless the file is for upstream's synapse"
      ])
    #expect(try HostFiles(options: ["listen_with_nginx": false]).make().warnings.isEmpty)
  }

  @Test func connectionsMayFollowTheDescriptorLimit() throws {
    func limits(_ options: [String: JSONValue]) throws -> [String]? {
      try HostFiles(options: options).tree()["haproxy"]?["global"]?.strings?.filter { $0.hasPrefix("maxconn") }
    }
    #expect(try limits([:]) == ["maxconn 10000"])
    #expect(try limits(["maximum_connections": 0]) == [])
    #expect(throws: ConfigError.self) { try limits(["maximum_connections": 0, "listen_with_nginx": true]) }
  }

  @Test func valuesWithAMeaningForHAProxyAreQuoted() {
    #expect(ProxyText.quotedFormat(#"50% "a\b" $c"#) == #""50%% \"a\\b\" \$c""#)
    #expect(ProxyText.word("/a b") == "\"/a b\"")
    #expect(ProxyText.word("/a/b") == "/a/b")
  }

  @Test func theSeedIsUpstreams() {
    #expect(md5Number("itesthost.itestdomain".utf8) == 135_184_279_079_909_606_119_241_261_820_643_097_662)
    #expect(md5Number("".utf8) == 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e)
  }

  @Test func headersOfChecksArriveAsTheyAreWritten() throws {
    let world = try HostFiles([
      "web/smartstack.yaml":
        "main: {proxy_port: 20001, healthcheck_uri: '/a%20b', extra_healthcheck_headers: {Host: 'a \"b\" 5%'}}\n"
    ])
    let backend = try world.tree()["services"]?["web.main"]?["haproxy"]?["backend"]?.array?.compactMap(\.string)
    #expect(
      backend?.prefix(2) == [
        "option httpchk",
        #"http-check send meth GET uri "/http/web.main/0/a%20b" ver HTTP/1.1 hdr Host "a \"b\" 5%%""#,
      ])
  }

  @Test func oddValuesAreTakenAsUpstreamTakesThem() throws {
    let world = try HostFiles([
      "web/smartstack.yaml":
        "main: {proxy_port: 1, extra_headers: {A: .inf, B: -.INF}, plugins: {logging: {enabled: true, sample_rate: 7}}}\n"
        + "odd @name: {proxy_port: null}\nodd/name: {proxy_port: null}\n"
    ])
    let made = try world.make()
    let root = try #require(JSONValue(made.text.utf8))
    #expect(
      root["services"]?["web.main"]?["haproxy"]?["backend"]?.strings?.prefix(2) == [
        #"http-request set-header A "inf""#, #"http-request set-header B "-inf""#,
      ])
    #expect(root["haproxy"]?["global"]?.strings?.contains("setenv sample_rate 7") == true)
    #expect(root["services"]?.object?.keys == ["web.main", "web.odd @name"])
    #expect(made.problems.map(\.name) == ["web.odd/name"])
  }

  @Test func aServiceHasOnlySoManyBackends() throws {
    let paths = (0...1000).map { "/\($0): 1" }.joined(separator: ", ")
    let world = try HostFiles(["web/smartstack.yaml": "main: {proxy_port: 1, endpoint_timeouts: {\(paths)}}\n"])
    #expect(
      try world.make().problems.flatMap(\.lines).map { world.plain($0) } == [
        "web.main is skipped: soa/web/smartstack.yaml:1:42: main.endpoint_timeouts: 1001 paths, and at most 1000 are written"
      ])
  }

  /// What HAProxy says to these lines is tried with `tasksAreReachedOnTheirPortsAndByTheirPlace`.
  @Test func emptyHeadersAreWrittenAsHAProxyTakesThem() throws {
    let world = try HostFiles([
      "web/smartstack.yaml":
        "main: {proxy_port: 20001, extra_headers: {X-A: ''}, extra_healthcheck_headers: {X-B: ''}}\n"
    ])
    let backend = try world.tree()["services"]?["web.main"]?["haproxy"]?["backend"]?.strings ?? []
    #expect(
      backend.prefix(3) == [
        "http-request del-header X-A", "option httpchk",
        #"http-check send meth GET uri "/http/web.main/0/status" ver HTTP/1.1 hdr X-B "%[str()]""#,
      ])
  }

  /// Requests cannot go through bytes, in either direction; what is kept of a proxy is a proxy still.
  @Test @LoopActor func aServiceGoesThroughAProxyOfRequestsOnly() async throws {
    let world = try HostFiles([
      "web/smartstack.yaml": "main: {proxy_port: 20001, proxied_through: gate.main}\n",
      "gate/smartstack.yaml": "main: {proxy_port: 20002, is_proxy: true}\n",
    ])
    let frontend = {
      JSONValue(world.read("synapse.conf.json").utf8)?["services"]?["web.main"]?["haproxy"]?["frontend"]?.strings ?? []
    }
    let said = Said()
    #expect(await said.configurator(world).run().status == 0)
    let proxied = frontend()
    #expect(proxied.count(where: { $0.contains("gate.main") }) == 3)
    try world.put("soa/gate/smartstack.yaml", "main: {proxy_port: ")
    #expect(await said.configurator(world).run().status == 3)
    #expect(frontend() == proxied)
    try world.put("soa/gate/smartstack.yaml", "main: {proxy_port: 20002, is_proxy: true, mode: tcp}\n")
    #expect(await said.configurator(world).run().status == 0)
    #expect(
      frontend() == proxied.filter { !$0.contains("gate.main") && !$0.contains("_request") && !$0.contains("proxied") })
    for line in [
      "web.main is written without what follows: soa/web/smartstack.yaml:1:44: main.proxied_through: the mode of "
        + "'gate.main' is tcp; HTTP requests go straight to web.main",
      "gate.main is written without what follows: soa/gate/smartstack.yaml:1:7: main: is_proxy: only a service of HTTP "
        + "requests can mark them, and its mode is tcp",
    ] { #expect(said.lines.contains(line), "\(said.lines)") }
    try world.put("soa/gate/smartstack.yaml", "main: {proxy_port: 20002, is_proxy: true}\n")
    try world.put("soa/web/smartstack.yaml", "main: {proxy_port: 20001, proxied_through: gate.main, mode: tcp}\n")
    #expect(await said.configurator(world).run().status == 0)
    #expect(!frontend().contains { $0.contains("gate.main") })
    #expect(said.contains("only HTTP requests can go through 'gate.main', and the mode of web.main is tcp"))
  }

  @Test func aScriptThatIsNotThereCostsOnlyItsPlugin() throws {
    let world = try HostFiles(
      ["web/smartstack.yaml": "main: {proxy_port: 20001, plugins: {path_based_routing: {enabled: true}}}\n"],
      options: ["lua_dir": "/nonexistent"])
    let made = try world.make()
    #expect(
      made.problems.flatMap(\.lines).map { world.plain($0) } == [
        "web.main is written without what follows: soa/web/smartstack.yaml: plugins.path_based_routing: there is no "
          + "/nonexistent/path_based_routing.lua, which path_based_routing needs; set lua_dir, or put the script there"
      ])
    #expect(!made.text.contains("get_backend"))
    #expect(made.problems.map(\.isFailure) == [false])
  }

  @Test func theMapIsShownByTheScriptThatHasIt() throws {
    let world = try HostFiles(
      ["web/smartstack.yaml": "main: {proxy_port: 20001, plugins: {source_required: {enabled: true}}}\n"],
      options: ["enable_map_debug": true, "map_debug_port": 32_124])
    let haproxy = try world.tree()["haproxy"]
    let line = "lua-load \(HostFiles.scripts)/add_source_header.lua"
    let global = haproxy?["global"]?.array ?? []
    #expect(global.filter { $0.string == line }.count == 1)
    #expect(haproxy?["extra_sections"]?["listen map.debug"]?.array?.last == "http-request use-service lua.map-debug")
  }

  @Test func aBindAddressThatTheHostDoesNotHave() {
    #expect(
      ToolOptions.bindProblem("192.0.2.7")
        == "bind_addr 192.0.2.7 is on no interface of this host, so HAProxy cannot listen there; give it to the loopback "
        + "interface: ip address add 192.0.2.7/32 dev lo")
    #expect(ToolOptions.bindProblem("2001:db8::7")?.hasSuffix("ip address add 2001:db8::7/128 dev lo") == true)
    for fine in ["0.0.0.0", "::", "127.0.0.1", "127.9.9.9", "localhost", "*"] {
      #expect(ToolOptions.bindProblem(fine) == nil)
    }
  }

  @Test func thePackagedOptionsAreReadWithoutWarnings() throws {
    let root = #filePath.split(separator: "/").dropLast(4).joined(separator: "/")
    let path = "/\(root)/packaging/etc/synapse/synapse-tools.conf.json"
    let node = try YAMLDocument.parse(Files.read(path, limit: 1 << 16), file: path)
    let options = try ToolOptions(node, luaDirectory: ToolOptions.defaultLuaDirectory())
    #expect(options.bindAddress == "169.254.255.254")
    #expect(options.warnings.isEmpty)
    #expect(Files.isFile(options.script("log_requests.lua")))
  }
}

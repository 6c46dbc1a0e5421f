import Glibc
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Configure

@Suite struct ServiceDirectoryTests {
  private static func directory(_ files: [String: String]) throws -> (TemporaryDirectory, ServiceDirectory) {
    let root = TemporaryDirectory()
    for (name, text) in files { try root.write(text, to: name) }
    return (root, ServiceDirectory(path: root.path, files: SourceFiles()))
  }

  private static func problem(_ body: () throws -> Void) -> String {
    do {
      try body()
      return "no error"
    } catch {
      return "\(error)"
    }
  }

  @Test func theKeySmartstackOfServiceYAMLReplacesTheFile() throws {
    let (root, services) = try ServiceDirectoryTests.directory([
      "web/smartstack.yaml": "main: {proxy_port: 1}\napi: null\n", "shadowed/smartstack.yaml": "main: {proxy_port: 1}",
      "shadowed/service.yaml": "smartstack: {other: {proxy_port: 2}}", "empty/smartstack.yaml": "{}",
      "list/smartstack.yaml": "[main]", "README": "x",
    ])
    #expect(try services.services() == ["README", "empty", "list", "shadowed", "web"])
    #expect(try services.namespaces(of: "web").map(\.name) == ["main", "api"])
    #expect(try services.namespaces(of: "shadowed").map(\.name) == ["other"])
    #expect(try services.namespaces(of: "empty").isEmpty && services.namespaces(of: "README").isEmpty)
    #expect(
      ServiceDirectoryTests.problem { _ = try services.namespaces(of: "list") }
        == "\(root.path)/list/smartstack.yaml:1:1: expected a mapping, found a list")
    for (service, files, problem) in [
      (
        "none", ["smartstack.yaml": ""],
        "smartstack.yaml:1:1: the file is empty; {} says that the service has no namespaces"
      ),
      (
        "comment", ["smartstack.yaml": "# soon\n"],
        "smartstack.yaml:2:1: the file is empty; {} says that the service has no namespaces"
      ),
      (
        "two", ["smartstack.yaml": "a: {}\n---\nb: {}\n"],
        "smartstack.yaml:2:1: a second document starts here, and only the first is read"
      ),
      (
        "again", ["smartstack.yaml": "a: {}\na: {}\n"],
        "smartstack.yaml:2:1: a: the key is already given in line 1; take one of the two out"
      ),
      (
        "null", ["service.yaml": "smartstack:\n"],
        "service.yaml:1:12: smartstack: null in the place of smartstack.yaml; take the key out, or write {} for no namespaces"
      ),
      (
        "twice", ["service.yaml": "a: 1\na: 2\nsmartstack: {b: {}, b: {}}\n"],
        "service.yaml:3:21: smartstack.b: the key is already given in line 3; take one of the two out"
      ),
    ] {
      let (root, services) = try ServiceDirectoryTests.directory(
        Dictionary(uniqueKeysWithValues: files.map { ("\(service)/\($0)", $1) }))
      #expect(
        ServiceDirectoryTests.problem { _ = try services.namespaces(of: service) }
          == "\(root.path)/\(service)/\(problem)")
    }
    #expect(
      ServiceDirectoryTests.problem { _ = try ServiceDirectory(path: "/none", files: SourceFiles()).services() }
        == "/none: there is no such directory of service configurations")
  }

  @Test func aNamespaceHasTheKnownKeysAndAMode() throws {
    let (root, services) = try ServiceDirectoryTests.directory([
      "web/smartstack.yaml": """
      main:
        proxy_port: 20060
        unknown: 1
        retries: 017
        routes: [{source: a, destinations: [b, c]}]
        extra_advertise: {"region:b": ["region:z", "region:a"], "region:a": ["region:q"]}
      tcp: {proxy_port: 1, mode: tcp}
      hidden: {proxy_port: null, healthcheck_uri: /x}
      udp: {mode: udp}
      routes: {routes: [{source: a}]}
      extra: {extra_advertise: {"region:b": "region:z"}}
      list: []
      """
    ])
    let listed = { (name: String, service: String) throws -> JSONObject in
      try services.namespace(name, of: service).listed(services.node(ofNamespace: name, of: service))
    }
    #expect(
      try listed("main", "web") == [
        "proxy_port": 20060, "retries": 15, "mode": "http", "routes": [["a", "b"], ["a", "c"]],
        "extra_advertise": [["region:b", "region:z"], ["region:b", "region:a"], ["region:a", "region:q"]],
      ])
    #expect(try services.namespace("main", of: "web").isInSmartStack)
    #expect(try listed("tcp", "web")["mode"] == "tcp")
    #expect(try listed("hidden", "web")["mode"] == "http")
    #expect(try !services.namespace("udp", of: "web").isInSmartStack)
    #expect(try services.namespace("hidden", of: "web").isInSmartStack)
    #expect(try listed("absent", "nobody") == ["mode": .null])
    for (name, problem) in [
      ("udp", "9:13: udp.mode: unknown mode 'udp'; it is one of http, tcp, https"),
      ("routes", "10:19: routes.routes[0]: the key 'destinations' is missing"),
      ("extra", "11:39: extra.extra_advertise.region:b: expected a list, found the text \"region:z\""),
      ("list", "12:7: list: expected a mapping, found a list"),
    ] {
      let mistakes = try services.namespace(name, of: "web").judged(by: .nerve).skipping
      #expect(mistakes.map(\.description) == ["\(root.path)/web/smartstack.yaml:\(problem)"])
    }
  }

  /// Every service has its author, and each of them may take this much of a run's memory.
  @Test func aFileOfAliasesEndsEarly() throws {
    let bomb = (1...9).reduce("a0: &a0 [x, x, x, x, x, x]\n") { text, level in
      text + "a\(level): &a\(level) [\(Array(repeating: "*a\(level - 1)", count: 6).joined(separator: ", "))]\n"
    }
    let (root, services) = try ServiceDirectoryTests.directory([
      "web/smartstack.yaml": bomb, "api/smartstack.yaml": String(repeating: "# \n", count: 400_000),
    ])
    #expect(
      ServiceDirectoryTests.problem { _ = try services.namespaces(of: "web") }
        == "\(root.path)/web/smartstack.yaml:6:10: a5[0]: more than 20000 values once aliases are replaced")
    #expect(
      ServiceDirectoryTests.problem { _ = try services.namespaces(of: "api") }
        == "\(root.path)/api/smartstack.yaml: read: it is longer than 1048576 bytes")
  }

  @Test func portsAreNumbersInAFile() throws {
    let (root, services) = try ServiceDirectoryTests.directory([
      "a/port": " 1464\n", "b/port": "x", "c/x": "", "d/port": "", "e/port": "70000", "f/port": "0",
    ])
    #expect(services.file("port", of: "a") == root.path + "/a/port")
    #expect(try services.port(of: "a") == 1464)
    #expect(try services.port(of: "c") == nil && services.port(of: "f") == 0)
    for (service, found) in [("b", "`x`"), ("d", "an empty file"), ("e", "`70000`")] {
      #expect(
        ServiceDirectoryTests.problem { _ = try services.port(of: service) }
          == "\(root.path)/\(service)/port:1:1: expected a port number, found \(found)")
    }
  }

  @Test func instancesRegisterWhereTheySay() throws {
    let (root, services) = try ServiceDirectoryTests.directory([
      "web/marathon-west.yaml": """
      main: {cpus: 1}
      shard: {registrations: [web.main, other.api], deploy_group: '{cluster}-{instance}.x{y}'}
      worker: {nerve_ns: main}
      bare:
      bad: {registrations: [noperiod]}
      ungrouped: {deploy_group: null}
      """,
      "web/service.yaml": "deploy_group: dev\n", "web/paasta_native-west.yaml": "main: {registrations: [web.native]}\n",
    ])
    let instance = { (name: String) throws -> String in
      let found = try services.instance(name, of: "web", cluster: "west")
      return found.map { "\($0.registrations.map(\.description).joined(separator: " ")) \($0.deployGroup ?? "-")" }
        ?? "none"
    }
    #expect(try instance("main") == "web.main dev")
    #expect(try instance("shard") == "web.main other.api west-shard.x{y}")
    #expect(try instance("worker") == "web.main dev")
    #expect(try instance("bare") == "web.bare dev")
    #expect(try instance("ungrouped") == "web.ungrouped -")
    #expect(try instance("absent") == "none")
    let native = try services.instance("main", of: "web", cluster: "west", scheduler: .native)
    #expect(native?.registrations.map(\.description) == ["web.native"] && native?.deployGroup == "west.main")
    #expect(try services.instance("main", of: "web", cluster: "east") == nil)
    #expect(
      ServiceDirectoryTests.problem { _ = try instance("bad") }
        == "\(root.path)/web/marathon-west.yaml:5:23: bad.registrations[0]: expected service.namespace, found the text \"noperiod\""
    )
    #expect(
      ServiceDirectoryTests.problem { _ = try instance("_hidden") }.contains("may not start with '_'"))
  }

  /// An alias bomb, a loop of links, a directory in a file's place: an error of that service, with its file's name.
  @Test func hostileFilesAreErrorsOfTheirService() throws {
    let bomb =
      "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
      + zip("bcdefghi", "abcdefgh").map {
        "\($0): &\($0) [" + Array(repeating: "*\($1)", count: 10).joined(separator: ",") + "]\n"
      }.joined()
    let (root, services) = try ServiceDirectoryTests.directory([
      "bomb/smartstack.yaml": bomb, "dir/smartstack.yaml/x": "", "loop/x": "", "good/smartstack.yaml": "main: {}",
    ])
    #expect(symlink("smartstack.yaml", "\(root.path)/loop/smartstack.yaml") == 0)
    for name in ["bomb", "dir", "loop"] {
      let problem = ServiceDirectoryTests.problem { _ = try services.namespaces(of: name) }
      #expect(problem.hasPrefix("\(root.path)/\(name)/smartstack.yaml"), "\(problem)")
    }
    #expect(try services.namespaces(of: "good").count == 1)
  }
}

@Suite struct TopologyFuzzTests {
  static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 400

  static let sample = """
    main:
      proxy_port: 20060
      mode: http
      routes: [{source: a, destinations: [b, c]}]
      extra_advertise: {"region:b": ["region:z", "region:a"]}
      registrations: [web.main, a.b.c.d]
      deploy_group: '{cluster}.{instance}'
      nerve_ns: x
    """
  static let pieces = ["[", "]", "{", "}", ":", "null", "\n", "  ", "- ", "&a ", "*a", "<<: ", "!!x ", "\"", "1", "."]

  /// Whatever stands in a service's files: a value or an error at that file, nothing else.
  @Test func fuzzServiceFiles() throws {
    var generator = SeededGenerator(seed: TopologyFuzzTests.seed)
    let root = TemporaryDirectory()
    for round in 0..<TopologyFuzzTests.rounds {
      var text = Array(TopologyFuzzTests.sample.utf8)
      for _ in 0..<Int.random(in: 0...4, using: &generator) {
        let place = Int.random(in: 0..<text.count, using: &generator)
        let piece = TopologyFuzzTests.pieces.randomElement(using: &generator) ?? ""
        text.replaceSubrange(
          place..<min(text.count, place + Int.random(in: 0...3, using: &generator)), with: piece.utf8)
      }
      for name in ["smartstack.yaml", "marathon-c.yaml"] {
        try root.write(String(decoding: text, as: UTF8.self), to: "web/\(name)")
      }
      let services = ServiceDirectory(path: root.path, files: SourceFiles())
      do throws(ConfigError) {
        let namespace = try services.namespace("main", of: "web")
        #expect(namespace.name == "web.main")
        let instance = try services.instance("main", of: "web", cluster: "c")
        #expect(instance?.registrations.isEmpty != true, "seed \(TopologyFuzzTests.seed), round \(round)")
      } catch {
        #expect(error.file.hasPrefix(root.path + "/web/"), "seed \(TopologyFuzzTests.seed), round \(round): \(error)")
      }
    }
  }
}

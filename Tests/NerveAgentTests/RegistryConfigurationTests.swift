import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig
import ZooKeeper

@testable import NerveAgent
@testable import Registry

/// What the configuration says of registries other than ZooKeeper, and of checks by command and by protocol.
@Suite struct RegistryConfigurationTests {
  private func registry(_ text: String) throws -> RegistrationTarget {
    let configuration = try load(
      #"{"instance_id": "host1", "services": {"web": {"host": "10.0.0.5", "port": 3000, \#(text)}}}"#)
    #expect(configuration.problems.map(\.description) == [])
    #expect(configuration.warnings.map(\.description) == [])
    return try #require(configuration.services.first).registry
  }

  private let data = Array(#"{"host":"10.0.0.5","port":3000,"name":"host1"}"#.utf8)

  @Test func files() throws {
    let target = FileTarget(directory: "/var/lib/r", name: "web@host1.json", data: data, renewal: nil)
    #expect(try registry(#""reporter_type": "file", "file_path": "/var/lib/r/""#) == .file(target))
    var renewed = target
    renewed.renewal = .seconds(30)
    #expect(
      try registry(#""reporter_type": "FILE", "file_path": "/var/lib/r", "ttl_seconds": 30"#) == .file(renewed))
  }

  @Test func etcdAsUpstreamHasIt() throws {
    let target = EtcdTarget(
      cluster: EtcdSettings(endpoints: [.tcp(host: "e1", port: 4003)], api: .auto, lifetime: 30),
      key: "/services/web/host1/web", data: data)
    #expect(
      try registry(#""reporter_type": "etcd", "etcd_host": "e1", "etcd_path": "/services/web/""#) == .etcd(target))
    var root = target
    root.key = "/host1/web"
    #expect(try registry(#""reporter_type": "etcd", "etcd_host": "e1""#) == .etcd(root))
  }

  @Test func severalEndpointsOfEtcd() throws {
    let hosts = #""etcd_hosts": ["a:2379", "b", "[::1]:1", "[fe80::2]", "a:2379"], "etcd_port": 99"#
    let target = EtcdTarget(
      cluster: EtcdSettings(
        endpoints: [
          .tcp(host: "a", port: 2379), .tcp(host: "b", port: 99), .tcp(host: "::1", port: 1),
          .tcp(host: "fe80::2", port: 99),
        ], api: .v3, lifetime: 5),
      key: "/host1/web", data: data)
    #expect(
      try registry(#""reporter_type": "etcd", \#(hosts), "etcd_api": "v3", "ttl_seconds": 5"#) == .etcd(target))
  }

  @Test func copiesHaveRecordsOfTheirOwn() throws {
    for reporter in [#""file", "file_path": "/r""#, #""etcd", "etcd_host": "e""#] {
      let services = try load(
        #"""
        {"instance_id": "h", "services": {"web": {"host": "a", "port": 1, "load_test_concurrency": 3,
          "reporter_type": \#(reporter)}}}
        """#
      ).services
      #expect(services.count == 3)
      #expect(Set(services.map(\.registry)).count == 3)
    }
  }

  nonisolated static let bad: [(String, String)] = [
    (#""reporter_type": "file""#, "services.web: the key 'file_path' is missing"),
    (
      #""reporter_type": "file", "file_path": "r""#, "services.web.file_path: 'r' does not begin with a slash"
    ),
    (
      #""reporter_type": "file", "file_path": "/a/../b""#,
      "services.web.file_path: '/a/../b' is not a path of a directory"
    ),
    (#""reporter_type": "etcd""#, "services.web: the key 'etcd_host' is missing"),
    (
      #""reporter_type": "etcd", "etcd_host": "e", "etcd_port": 0"#, "services.web.etcd_port: 0 is outside 1...65535"
    ),
    (
      #""reporter_type": "etcd", "etcd_hosts": ["a:x"]"#, "services.web.etcd_hosts: 'a:x' is not a HOST:PORT"
    ),
    (#""reporter_type": "etcd", "etcd_hosts": ["::1"]"#, "services.web.etcd_hosts: '::1' is not a HOST:PORT"),
    (
      #""reporter_type": "etcd", "etcd_host": "e", "etcd_api": "v4""#,
      "services.web.etcd_api: 'v4' is not one of auto, v2, v3"
    ),
    (
      #""reporter_type": "etcd", "etcd_host": "e", "ttl_seconds": 1"#,
      "services.web.ttl_seconds: 1 is outside 2...86400"
    ),
    (check(#""type": "exec""#), "services.web.checks[0]: the key 'command' is missing"),
    (
      check(#""type": "exec", "command": []"#),
      "services.web.checks[0].command: a program and its arguments, or a line for the shell, is needed"
    ),
    (
      check(#""type": "exec", "command": {"a": 1}"#),
      "services.web.checks[0].command: expected a list of texts, found a mapping"
    ),
    (
      check(#""type": "exec", "command": "a\u0000b""#),
      "services.web.checks[0].command: holds a zero byte, which no argument can"
    ),
    (check(#""type": "mysql""#), "services.web.checks[0]: the key 'username' is missing"),
    (
      check(#""type": "mysql", "username": "u", "server_public_key": "/does/not/exist""#),
      "services.web.checks[0].server_public_key: cannot open /does/not/exist: No such file or directory; "
        + "write none, retrieve, or the path of a PEM file"
    ),
    (check(#""type": "redis", "db": -1"#), "services.web.checks[0].db: -1 is outside 0...1000000"),
  ]

  private nonisolated static func check(_ text: String) -> String {
    #""reporter_type": "file", "file_path": "/r", "checks": [{\#(text)}]"#
  }

  @Test("a service that is skipped", arguments: bad) func badService(_ more: String, _ message: String) throws {
    let configuration = try load(
      #"{"instance_id": "host1", "services": {"web": {"host": "10.0.0.5", "port": 3000, \#(more)}}}"#)
    #expect(configuration.services.isEmpty)
    #expect(configuration.problems.map { "\($0.path): \($0.problem)" } == [message])
  }

  @Test func aLimitForCommands() throws {
    #expect(try load(#"{"instance_id": "h"}"#).commandLimit == 16)
    #expect(try load(#"{"instance_id": "h", "max_exec_checks": 3}"#).commandLimit == 3)
    #expect(throws: ConfigError.self) { try load(#"{"instance_id": "h", "max_exec_checks": 0}"#) }
  }
}

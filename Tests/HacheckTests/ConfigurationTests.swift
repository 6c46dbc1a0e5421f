import Reactor
import TestSupport
import Testing
import YAMLConfig

@testable import Hacheck

@Suite struct ConfigurationTests {
  private func read(_ text: String) throws(ConfigError) -> (
    configuration: HacheckConfiguration, warnings: [ConfigError]
  ) {
    var configuration = HacheckConfiguration()
    let warnings = try configuration.read(Array(text.utf8), file: "hacheck.yaml")
    return (configuration, warnings)
  }

  @Test func everyKeyIsRead() throws {
    let (found, warnings) = try read(
      """
      cache_time: 1
      healthcheck_timeout: 2.5
      max_clients: 7
      max_checks: 70
      service_name_header: X-Service
      log_path: /var/log/hacheck.log
      mysql_username: u
      mysql_password: p
      rlimit_nofile: max
      allow_remote_spool_changes: yes
      spool_change_networks: [10.0.0.0/8, "::1", this-machine]
      check_networks:
        - 172.16.0.0/12
      http_headers_to_copy: [Host, X-Foo]
      page_hosts: [hacheck.example]
      unix_socket: /run/hacheck.sock
      unix_socket_mode: "0666"
      max_connections: 77
      request_timeout: 5
      user: nobody
      group: nogroup
      cache_size: 11
      seen_services_size: 12
      max_body_bytes: 13
      seen_services_time: 14
      mysql_server_public_key: retrieve
      redis_username: probe
      redis_password: secret
      smtp_hello: probe.test
      """)
    var expected = HacheckConfiguration()
    expected.cacheTime = .seconds(1)
    expected.healthcheckTimeout = .seconds(2.5)
    expected.checksPerTarget = 7
    expected.checksInAll = 70
    expected.serviceNameHeader = "X-Service"
    expected.logPath = "/var/log/hacheck.log"
    (expected.mysqlUsername, expected.mysqlPassword) = ("u", "p")
    expected.descriptorLimit = .max
    expected.allowsSpoolChanges = true
    expected.spoolChangeNetworks =
      ["10.0.0.0/8", "::1"].compactMap(AddressRange.init)
    expected.allowsOwnSpoolChanges = true
    expected.pageHosts = ["hacheck.example"]
    (expected.unixSocket, expected.unixSocketMode) = ("/run/hacheck.sock", 0o666)
    (expected.maxConnections, expected.requestTimeout) = (77, .seconds(5))
    (expected.user, expected.group) = ("nobody", "nogroup")
    expected.checkNetworks = ["172.16.0.0/12"].compactMap { AddressRange($0) }
    expected.headersToCopy = ["Host", "X-Foo"]
    (expected.cacheSize, expected.seenServicesSize, expected.bodyLimit) = (11, 12, 13)
    expected.seenServicesTime = .seconds(14)
    expected.mysqlServerKey = .retrieved
    (expected.redisUsername, expected.redisPassword) = ("probe", "secret")
    expected.smtpHello = "probe.test"
    #expect(found == expected)
    #expect(warnings.isEmpty)
  }

  @Test(arguments: ["", "# nothing\n", "cache_time: null\n", "{}"]) func nothingMeansTheDefaults(_ text: String) throws
  {
    #expect(try read(text).configuration == HacheckConfiguration())
  }

  @Test func serversThatGetTheAccounts() throws {
    let text = "redis_servers: [10.0.0.7, \"[::1]:7000\"]\nmysql_servers: [\"localhost:3307\", 127.0.0.1]\n"
    let found = try read(text).configuration
    #expect(found.redisServers == [.tcp(host: "10.0.0.7", port: 6379), .tcp(host: "::1", port: 7000)])
    #expect(found.mysqlServers == [.tcp(host: "127.0.0.1", port: 3307), .tcp(host: "127.0.0.1", port: 3306)])
    #expect(throws: ConfigError.self) { try read("redis_servers: [cache.example]") }
  }

  @Test func quotedNumbersAreNumbers() throws {
    let found = try read("cache_time: \"5\"\nrlimit_nofile: \"1024\"").configuration
    #expect(found.cacheTime == .seconds(5))
    #expect(found.descriptorLimit == 1024)
  }

  @Test func aServersKeyIsReadFromItsFile() throws {
    let folder = TemporaryDirectory()
    try Files.write(Array("PEM".utf8), to: "\(folder.path)/key.pem", mode: 0o600, sync: false)
    let found = try read("mysql_server_public_key: \(folder.path)/key.pem").configuration
    #expect(found.mysqlServerKey == .known(Array("PEM".utf8)))
    #expect(try read("mysql_server_public_key: none").configuration.mysqlServerKey == .unknown)
    let error = #expect(throws: ConfigError.self) { try read("mysql_server_public_key: \(folder.path)/gone") }
    #expect(error?.description.contains("write none, retrieve, or the path of a PEM file") == true)
    #expect(throws: ConfigError.self) { try read("smtp_hello: \"a b\"") }
  }

  @Test(arguments: ["0640", "\"0640\"", "\"640\"", "0o640"]) func modesAreOctal(_ text: String) throws {
    #expect(try read("unix_socket_mode: \(text)").configuration.unixSocketMode == 0o640)
  }

  @Test func unknownKeysAreWarnings() throws {
    let warnings = try read("foo: 1\ncache_tim: 3").warnings.map(\.description)
    #expect(warnings.count == 2)
    #expect(warnings.contains { $0.hasPrefix("hacheck.yaml:1:1: foo: unknown key") })
  }

  static let mistakes = [
    ("cache_time: soon", "hacheck.yaml:1:13: cache_time: expected a number, found"),
    ("cache_time: -1", "hacheck.yaml:1:13: cache_time: -1"),
    ("a: 1\nhealthcheck_timeout: 0", "hacheck.yaml:2:22: healthcheck_timeout: 0"),
    ("allow_remote_spool_changes: \"false\"", "hacheck.yaml:1:29: allow_remote_spool_changes: expected true or false"),
    ("- a", "hacheck.yaml:1:1: expected a mapping, found a list"),
    ("check_networks: [10.0.0.0/40]", "hacheck.yaml:1:18: check_networks[0]: `10.0.0.0/40` is not a network"),
    ("http_headers_to_copy: [\"X Foo\"]", "hacheck.yaml:1:23: http_headers_to_copy: `X Foo` cannot be the name"),
    ("http_headers_to_copy: Host", "hacheck.yaml:1:23: http_headers_to_copy: expected a list"),
    ("rlimit_nofile: many", "hacheck.yaml:1:16: rlimit_nofile: expected an integer"),
    (
      "spool_change_networks: [here]",
      "hacheck.yaml:1:25: spool_change_networks[0]: `here` is not a network; write 10.0.0.0/8, fd00::/8, a single address, "
        + "or this-machine"
    ),
    ("unix_socket_mode: \"0999\"", "hacheck.yaml:1:19: unix_socket_mode: `0999` is not a mode"),
    ("unix_socket_mode: \"7777\"", "hacheck.yaml:1:19: unix_socket_mode: `7777` is not a mode"),
    ("max_connections: 0", "hacheck.yaml:1:18: max_connections: 0 is outside"),
    ("request_timeout: 0", "hacheck.yaml:1:18: request_timeout: 0"),
    ("page_hosts: name", "hacheck.yaml:1:13: page_hosts: expected a list"),
    ("max_clients: 0", "hacheck.yaml:1:14: max_clients: 0 is outside"),
    ("{a: 1\n", "hacheck.yaml:"),
  ]

  @Test(arguments: mistakes) func mistakesAreNamedWithTheirPlace(_ text: String, _ beginning: String) {
    let error = #expect(throws: ConfigError.self) { try read(text) }
    #expect(error?.description.hasPrefix(beginning) == true, "\(error?.description ?? "")")
  }

  @Test func aMissingFileIsNamed() {
    var configuration = HacheckConfiguration()
    let error = #expect(throws: ConfigError.self) { try configuration.load(path: "/nonexistent.yaml") }
    #expect(error?.description.contains("/nonexistent.yaml") == true)
  }
}

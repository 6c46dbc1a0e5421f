import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import SynapseAgent

/// Configurations in the shapes that public repositories and tutorials have.
@Suite("public configurations") @LoopActor struct PublicShapeTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    var testDescription: String
    /// The service `app`, and others, as JSON.
    var services = #""app": {"discovery": {"method": "base"}, "default_servers": [\#(one)], "haproxy": {"port": 3213}}"#
    /// The keys of the section `haproxy` that differ from ``usual``.
    var haproxy: [String: String] = [:]
    /// Parts of the file.
    var file: [String] = ["frontend app\n", "backend app\n"]
    /// What the file does not have.
    var missing: [String] = []
    /// What is said of it; each is a part of one line.
    var problems: [String] = []
    /// Whether every service and section is there.
    var isComplete = true

    static let one = #"{"name": "one", "host": "127.0.0.1", "port": 8001}"#
    static let usual = [
      "config_file_path": #""haproxy.cfg""#, "do_writes": "true", "do_reloads": "false", "do_socket": "false",
      "global": #"["daemon", "maxconn 4096"]"#,
      "defaults": #"["mode http", "timeout connect 5s", "timeout client 1m", "timeout server 1m"]"#,
    ]
    static let page = #"["mode http", "stats enable", "stats uri /", "stats refresh 5s"]"#

    func text(_ more: [String: String] = [:]) -> String {
      let keys = Shape.usual.merging(haproxy) { $1 }.merging(more) { $1 }
      let section = keys.sorted { $0.key < $1.key }.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ",\n")
      return "{\"services\": {\(services)},\n\"haproxy\": {\(section)}}\n"
    }
  }

  private nonisolated static let shapes = [
    Shape(
      testDescription: "an address behind the name of the statistics section",
      services: #""app": {"discovery": {"method": "zookeeper", "path": "/n/app", "hosts": ["127.0.0.1:2181"]}, "#
        + #""default_servers": [\#(Shape.one)], "haproxy": {"port": 3213, "#
        + #""server_options": "check inter 2s rise 3 fall 2", "listen": ["mode http", "option httpchk GET /"]}}"#,
      haproxy: [
        "global": #"["daemon", "stats   socket haproxy.sock mode 666 level admin"]"#,
        "defaults":
          #"["mode http", "timeout  connect 5s", "timeout  client  1m", "timeout  server  1m", "balance  roundrobin"]"#,
        "extra_sections": #"{"listen stats :3212": \#(Shape.page)}"#, "reload_command": #""true""#,
      ], file: ["\nlisten stats\n\tbind :3212\n\tmode http\n", "frontend app\n", "option httpchk GET /\n"],
      problems: ["warning: haproxy.global[1]: HAProxy refuses `stats   socket haproxy.sock mode 666 level admin`"]),
    Shape(
      testDescription: "two services with one port",
      services: ["second", "first"].map {
        #""\#($0)": {"discovery": {"method": "base"}, "default_servers": [\#(Shape.one)], "haproxy": {"port": 3214, "#
          + #""listen": ["mode http"]}}"#
      }.joined(separator: ", "), file: ["frontend first\n"], missing: ["second"],
      problems: ["services.second.haproxy.port: localhost:3214 is taken by services.first.haproxy.port"],
      isComplete: false),
    Shape(
      testDescription: "a cookbook's role: accounts, logs, no services",
      services: "",
      haproxy: [
        "reload_command": #""sudo -n service haproxy reload""#, "do_reloads": "true",
        "global": #"["log 127.0.0.1 local1", "daemon", "maxconn 4096", "user root", "group root", "stats socket "#
          + #"/var/haproxy/stats.sock group root mode 660 level admin"]"#,
        "defaults": #"["mode http", "log global", "option dontlognull", "maxconn 2000", "retries 3", "timeout connect "#
          + #"5s", "timeout client 1m", "timeout server 1m", "option redispatch", "balance roundrobin"]"#,
        "extra_sections": #"{"listen stats :3212": \#(Shape.page)}"#,
      ], file: ["listen stats\n\tbind :3212\n"]),
    Shape(
      testDescription: "every address, blanks in the lines, no mode",
      haproxy: [
        "bind_address": #""*""#,
        "global": #"["daemon", "log     127.0.0.1 local0", "log     127.0.0.1 local1 notice"]"#,
        "defaults": #"["log      global", "option   dontlognull", "timeout  connect 5s", "timeout  client  1m", "#
          + #""timeout  server  1m", "option   redispatch"]"#,
      ], file: ["\tbind *:3213\n"]),
    Shape(
      testDescription: "time-outs in the words of 1.3",
      haproxy: ["defaults": #"["contimeout 5000", "clitimeout 50000", "srvtimeout 50000"]"#],
      file: ["\ttimeout connect 5000\n\ttimeout client 50000\n\ttimeout server 50000\n"],
      problems: ["warning: haproxy.defaults[0]: `contimeout 5000` is written as `timeout connect 5000`"]),
    Shape(
      testDescription: "processes, which HAProxy has dropped",
      haproxy: ["global": #"["daemon", "nbproc 2", "maxconn 4096"]"#], missing: ["nbproc"],
      problems: ["warning: haproxy.global[1]: HAProxy refuses `nbproc 2`"]),
    Shape(
      testDescription: "a certificate that this host does not have",
      services:
        #""app": {"discovery": {"method": "base"}, "default_servers": [\#(Shape.one)], "haproxy": {"port": 3213}}, "#
        + #""tls": {"discovery": {"method": "base"}, "default_servers": [\#(Shape.one)], "haproxy": {"port": 3215, "#
        + #""bind_options": "ssl no-sslv3 crt /path/to/cert/example.pem"}}"#, missing: ["frontend tls"],
      problems: ["services.tls.haproxy.port: skipped, as HAProxy refuses it"], isComplete: false),
    Shape(
      testDescription: "a frontend that services share",
      services: #""app": {"discovery": {"method": "base"}, "default_servers": [\#(Shape.one)], "haproxy": {"#
        + #""shared_frontend": ["acl is_app hdr_dom(host) -i app.example", "use_backend app if is_app"], "#
        + #""backend": ["mode http"]}}"#, haproxy: ["shared_frontend": #"["bind 127.0.0.1:8081"]"#],
      file: ["frontend shared-frontend\n\tbind 127.0.0.1:8081\n\tacl is_app"]),
    Shape(
      testDescription: "a section without an address and a balance of TCP",
      services:
        #""app": {"discovery": {"method": "base"}, "default_servers": [\#(Shape.one)], "haproxy": {"port": 3213, "#
        + #""listen": ["mode tcp", "option tcplog"]}}"#,
      haproxy: [
        "extra_sections": #"{"listen stats 127.0.0.1:3212": \#(Shape.page), "frontend plain": ["bind :3219"]}"#
      ],
      file: ["listen stats\n\tbind 127.0.0.1:3212\n", "frontend plain\n\tbind :3219\n", "\tmode tcp\n"]),
  ]

  private func load(_ text: String, in directory: TemporaryDirectory) throws -> SynapseConfiguration {
    let path = directory.path + "/synapse.conf.json"
    try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
    return try ConfigurationLoader(environment: [:]).load(path)
  }

  @Test("a shape is served as far as it can be, and the rest is named", arguments: shapes)
  func served(_ shape: Shape) async throws {
    let directory = TemporaryDirectory()
    let configuration = try load(shape.text(["config_file_path": "\"\(directory.path)/haproxy.cfg\""]), in: directory)
    #expect(configuration.skipped.isEmpty && configuration.warnings.isEmpty)
    let rendering = try #require(Rendering(configuration))
    let outcome = await rendering.file(of: [:], candidate: directory.path + "/candidate")
    #expect(outcome.isAccepted == true && outcome.isComplete == shape.isComplete, "\(outcome.problems)")
    for part in shape.services.isEmpty ? shape.file.filter({ !$0.contains(" app") }) : shape.file {
      #expect(outcome.text.contains(part), "\(part) in \(outcome.text)")
    }
    for part in shape.missing { #expect(!outcome.text.contains(part), "\(part) in \(outcome.text)") }
    for part in shape.problems {
      #expect(outcome.problems.contains { $0.contains(part) }, "\(part) in \(outcome.problems)")
    }
    if shape.problems.isEmpty { #expect(outcome.problems.isEmpty) }
  }

  @Test("what is needed and not there is named") func incomplete() throws {
    let directory = TemporaryDirectory()
    let text = Shape(testDescription: "").text(["do_socket": "true"])
    #expect(throws: ConfigError.self) { try load(text, in: directory) }
    do { _ = try load(text, in: directory) } catch {
      #expect("\(error)".contains("socket_file_path"), "\(error)")
    }
  }
}

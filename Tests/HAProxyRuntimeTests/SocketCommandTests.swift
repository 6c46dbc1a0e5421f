import Testing

@testable import HAProxyRuntime

@Suite("commands") struct SocketCommandTests {
  struct Text: Sendable, CustomTestStringConvertible {
    let text: String
    let make: @Sendable () throws(HAProxyRuntimeError) -> SocketCommand
    var testDescription: String { text }
  }

  static let texts = [
    Text(text: "set server web/a_10.0.0.1:80 state maint") { () throws(HAProxyRuntimeError) in
      try .setState(.maint, backend: "web", server: "a_10.0.0.1:80")
    },
    Text(text: "set server web/a weight 10") { () throws(HAProxyRuntimeError) in
      try .setWeight(10, backend: "web", server: "a")
    },
    Text(text: "set server web/a addr 10.0.0.1 port 80") { () throws(HAProxyRuntimeError) in
      try .setAddress("10.0.0.1", port: 80, backend: "web", server: "a")
    },
    Text(text: "add server web/a 10.0.0.1:80 check inter 2s") { () throws(HAProxyRuntimeError) in
      try .addServer(backend: "web", server: "a", address: "10.0.0.1", port: 80, options: " check  inter 2s ")
    },
    Text(text: "del server web/a") { () throws(HAProxyRuntimeError) in try .deleteServer(backend: "web", server: "a") },
    Text(text: "enable health web/a") { () throws(HAProxyRuntimeError) in try .enableHealth(backend: "web", server: "a")
    },
    Text(text: "show servers state web") { () throws(HAProxyRuntimeError) in try .showServers(of: "web") },
  ]

  @Test("are written as HAProxy reads them", arguments: texts) func text(_ c: Text) throws {
    #expect(try c.make().text == c.text)
  }

  static let hostile: [(String, String)] = [
    ("", "not sent to HAProxy: '' is empty"),
    ("a b", "not sent to HAProxy: 'a b' holds a blank or a control character"),
    ("a\nshutdown", "not sent to HAProxy: 'a\\u{a}shutdown' holds a blank or a control character"),
    ("a;shutdown", "not sent to HAProxy: 'a;shutdown' holds ';', which separates commands"),
    ("a\\", "not sent to HAProxy: 'a\\' holds a backslash"),
    ("a/b", "not sent to HAProxy: 'a/b' holds a slash, which separates backend and server"),
    ("<<", "not sent to HAProxy: '<<' starts with '<<', which begins a payload"),
    ("a\u{0}", "not sent to HAProxy: 'a\\u{0}' holds a blank or a control character"),
  ]

  @Test("refuse what would not arrive as one argument", arguments: hostile)
  func refuses(_ argument: String, _ sentence: String) {
    do throws(HAProxyRuntimeError) {
      _ = try SocketCommand.setState(.ready, backend: "web", server: argument)
      Issue.record("'\(argument)' was accepted")
    } catch {
      #expect(error.description == sentence)
    }
  }

  @Test("verbatim lines are held to the same rules") func verbatim() throws {
    #expect(try SocketCommand.verbatim("set  server a/b state ready").text == "set server a/b state ready")
    for line in ["", "show info;shutdown", "show info\nshutdown", "set map x y\\", "add map x <<"] {
      #expect(throws: HAProxyRuntimeError.self) { try SocketCommand.verbatim(line) }
    }
  }

  static let replies: [(command: SocketCommand, reply: String, outcome: CommandOutcome)] = {
    let state = try? SocketCommand.setState(.maint, backend: "b", server: "s")
    let add = try? SocketCommand.addServer(backend: "b", server: "s", address: "10.0.0.1", port: 1, options: "check")
    let delete = try? SocketCommand.deleteServer(backend: "b", server: "s")
    guard let state, let add, let delete else { return [] }
    return [
      (state, "\n", .done("")), (state, "", .done("")),
      (state, "No such server.\n", .refused("No such server.")),
      (add, "New server registered.\n", .done("New server registered.")),
      (add, "", .refused("(no answer text)")),
      (
        add, "unknown keyword 'chk'; did you mean 'check' maybe ?\n",
        .refused("unknown keyword 'chk'; did you mean 'check' maybe ?")
      ),
      (delete, "Server deleted.", .done("Server deleted.")),
      (
        delete, "Only servers in maintenance mode can be deleted.\n",
        .refused("Only servers in maintenance mode can be deleted.")
      ),
      (.showInfo, "Unknown command: 'show info'\n  help\n", .refused("Unknown command: 'show info' | help")),
      (.showInfo, "Name: HAProxy\n", .done("Name: HAProxy\n")),
    ]
  }()

  @Test("replies are judged", arguments: replies.indices) func judged(_ index: Int) {
    let c = SocketCommandTests.replies[index]
    #expect(c.command.outcome(of: c.reply) == c.outcome)
  }

  @Test("a batch is cut into lines that fit HAProxy's buffer") func script() throws {
    #expect(HAProxyRuntimeClient.script([.showInfo, .showServers]) == "prompt;show info;show servers state\n")
    let many = try (0..<500).map { try SocketCommand.setWeight($0 % 200, backend: "backend", server: "server\($0)") }
    let lines = HAProxyRuntimeClient.script(many).split(separator: "\n")
    #expect(lines.allSatisfy { $0.utf8.count <= HAProxyRuntimeClient.lineLimit })
    #expect(lines.joined(separator: ";").split(separator: ";").dropFirst().map(String.init) == many.map(\.text))
  }
}

import Testing

@testable import HAProxyConfigGen
@testable import HAProxyRuntime

@Suite("commands of the socket") struct SocketCommandTests {
  private static let web = ServerPath(backend: "web", server: "a")

  static let texts: [(String, RuntimeCommand)] = [
    ("set server web/a state maint", .setMaintenance(web)),
    ("set server web/a weight 10", .setWeight(web, 10)),
    ("set server web/a addr 10.0.0.1 port 80", .setAddress(web, host: "10.0.0.1", port: 80)),
    ("add server web/a 10.0.0.1:80 check", .addServer(web, address: "10.0.0.1:80", options: ["check"])),
    ("del server web/a", .deleteServer(web, isOptional: true)),
    ("enable health web/a", .enableHealth(web)),
    ("enable agent web/a", .enableAgent(web)),
  ]

  @Test("a change is sent as HAProxy reads it", arguments: texts)
  func changeIsSentAsHAProxyReadsIt(text: String, change: RuntimeCommand) throws {
    #expect(try SocketCommand(change).text == text)
  }

  @Test("the question for one backend names it") func questionNamesItsBackend() throws {
    #expect(try SocketCommand.showServers(of: "web").text == "show servers state web")
    #expect(throws: HAProxyRuntimeError.self) { try SocketCommand.showServers(of: "web;quit") }
  }

  static let hostile: [(String, String)] = [
    ("", "not sent to HAProxy: '' is empty"),
    ("a b", "not sent to HAProxy: 'web/a b' holds a blank or a control character"),
    ("a\nshutdown", "not sent to HAProxy: 'web/a\\nshutdown' holds a blank or a control character"),
    ("a;shutdown", "not sent to HAProxy: 'web/a;shutdown' holds ';', which separates commands"),
    ("a\\", "not sent to HAProxy: 'web/a\\' holds a backslash"),
    ("a/b", "not sent to HAProxy: 'a/b' holds a slash, which separates backend and server"),
    ("a\u{0}", "not sent to HAProxy: 'web/a\\u{0}' holds a blank or a control character"),
  ]

  @Test("a server name that is not one word is refused", arguments: hostile)
  func refusesAHostileName(name: String, sentence: String) {
    do throws(HAProxyRuntimeError) {
      _ = try SocketCommand(.setReady(ServerPath(backend: "web", server: name)))
      Issue.record("'\(name)' was accepted")
    } catch {
      #expect(error.description == sentence)
    }
  }

  @Test("an option that begins a payload or a second command is refused", arguments: ["<<", "a;b", "a\nb", "a b", ""])
  func refusesAHostileOption(option: String) {
    #expect(throws: HAProxyRuntimeError.self) {
      try SocketCommand(.addServer(SocketCommandTests.web, address: "10.0.0.1:1", options: ["check", option]))
    }
  }

  static let replies: [(change: RuntimeCommand, reply: String, isAccepted: Bool, text: String)] = [
    (.setMaintenance(web), "\n", true, ""), (.setMaintenance(web), "", true, ""),
    (.setMaintenance(web), "No such server.\n", false, "No such server."),
    (
      .setAddress(web, host: "10.0.0.1", port: 1),
      "IP changed from '10.0.0.2' to '10.0.0.1' by 'stats socket command'\n", true,
      "IP changed from '10.0.0.2' to '10.0.0.1' by 'stats socket command'"
    ),
    (
      .addServer(web, address: "10.0.0.1:1", options: ["check"]), "New server registered.\n", true,
      "New server registered."
    ),
    (
      .addServer(web, address: "10.0.0.1:1", options: ["chk"]),
      "unknown keyword 'chk';\ndid you mean 'check' maybe ?\n", false,
      "unknown keyword 'chk'; | did you mean 'check' maybe ?"
    ),
    (.deleteServer(web, isOptional: false), "Server deleted.", true, "Server deleted."),
    (
      .deleteServer(web, isOptional: false), "Only servers in maintenance mode can be deleted.\n", false,
      "Only servers in maintenance mode can be deleted."
    ),
  ]

  @Test("a change is done when its reply says so", arguments: replies)
  func judgesRepliesToChanges(change: RuntimeCommand, reply: String, isAccepted: Bool, text: String) throws {
    let outcome = try SocketCommand(change).outcome(of: reply)
    #expect(outcome == (isAccepted ? .success(text) : .failure(.refused(command: change.text, reply: text))))
  }

  @Test("a question is answered by any document but a complaint") func judgesRepliesToQuestions() {
    let complaint = SocketCommand.showInfo.outcome(of: "Unknown command: 'show info'\n  help\n")
    #expect(
      complaint == .failure(.refused(command: "show info", reply: "Unknown command: 'show info' | help")))
    #expect(SocketCommand.showInfo.outcome(of: "Name: HAProxy\n") == .success("Name: HAProxy\n"))
  }

  @Test("a batch is cut into lines that fit HAProxy's buffer") func batchIsCutIntoLines() throws {
    #expect(HAProxyRuntimeClient.script([.showInfo, .showServers]) == "prompt;show info;show servers state\n")
    let many = try (0..<500).map { number in
      try SocketCommand(.setWeight(ServerPath(backend: "backend", server: "server\(number)"), number % 200))
    }
    let lines = HAProxyRuntimeClient.script(many).split(separator: "\n")
    #expect(lines.allSatisfy { $0.utf8.count <= HAProxyRuntimeClient.lineLimit })
    #expect(lines.joined(separator: ";").split(separator: ";").dropFirst().map(String.init) == many.map(\.text))
  }
}

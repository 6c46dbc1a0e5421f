import Glibc
import HAProxyConfigGen
import HAProxyRuntime
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// From the bytes and the name of a znode to HAProxy's file and socket, without any I/O: whatever a znode holds, only
/// the configuration and valid servers speak there.
///
/// `SMARTSTACK_FUZZ_ROUNDS` is the number of hostile znodes, 5,000 without it; `SMARTSTACK_FUZZ_SEED` moves them.
@Suite("hostile znodes") struct HostileZnodeTests {
  private static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  private static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 5_000
  private static let batch = 50
  private static let good = (1...3).map { (number: Int) in
    Backend(name: "good\(number)", host: "10.1.0.\(number)", port: 80, id: number)
  }
  private static let configuration = [
    "global", "daemon", "defaults", "mode http", "balance roundrobin", "timeout client 1s", "timeout connect 1s",
    "timeout server 1s", "frontend web", "bind localhost:80", "default_backend web", "backend web",
  ]

  @Test func fuzzedZnodesReachNeitherFileNorSocket() async throws {
    var dice = SeededGenerator(seed: HostileZnodeTests.seed)
    var found = Findings()
    for round in 0..<max(1, HostileZnodeTests.rounds / HostileZnodeTests.batch) {
      let znodes = (0..<HostileZnodeTests.batch).map { _ in HostileZnode(using: &dice) }
      let backends = znodes.compactMap(\.backend)
      found.accepted += backends.count
      try examine(backends, &found)
      if !found.complaints.isEmpty {
        Issue.record("seed \(HostileZnodeTests.seed), round \(round): \(found.complaints.prefix(3))")
        return
      }
      if round % 100 == 0 { try await check(found.lastFile, round) }
    }
    // Some are valid on purpose: a generator whose every znode is refused would show nothing.
    #expect(found.accepted > 0 && found.accepted < HostileZnodeTests.rounds)
    #expect(found.commands > 0)
  }

  private struct Findings {
    var complaints: [String] = []
    var accepted = 0
    var commands = 0
    var lastFile = ""
  }

  private func examine(_ hostile: [Backend], _ found: inout Findings) throws {
    var settings = GeneratorSettings()
    settings.global = ["daemon"]
    settings.defaults = [
      "mode http", "balance roundrobin", "timeout client 1s", "timeout connect 1s", "timeout server 1s",
    ]
    var service = ServiceSettings(service: "web")
    service.port = .number("80")
    var model = ProxyModel(
      settings: settings, services: [service], memory: ServerMemory())
    let good = HostileZnodeTests.good
    model.apply(ServiceSnapshot(service: "web", backends: good), now: 0)
    let before = model.render().text
    let running = RunningProxy(
      version: HAProxyVersion(2, 6, 12), backends: ["web": servers(of: model)])
    let loaded = LoadedConfiguration(model)
    model.apply(ServiceSnapshot(service: "web", backends: good + hostile), now: 1)
    let file = model.render().text
    found.lastFile = file
    let names = Set(hostile.map(\.serverName)).union(good.map(\.serverName))
    found.complaints += complaints(about: file, names: names)
    for line in before.split(separator: "\n") where line.contains("server ") && !file.contains(line) {
      found.complaints.append("a good server's line is another one: \(line)")
    }
    let commands = Planner.plan(running: running, loaded: loaded, wanted: model).commands
    found.commands += commands.count
    for command in commands { found.complaints += complaints(about: command, names: names) }
  }

  private func servers(of model: ProxyModel) -> [String: RunningServer] {
    var servers: [String: RunningServer] = [:]
    for (index, backend) in HostileZnodeTests.good.enumerated() {
      servers[backend.serverName] = RunningServer(id: index + 1, address: backend.host, port: backend.port)
    }
    return servers
  }

  /// Every line is the configuration's, or a server's that was decoded.
  private func complaints(about file: String, names: Set<String>) -> [String] {
    var found: [String] = []
    for line in file.utf8.split(separator: 10) {
      let text = String(decoding: line, as: UTF8.self)
      let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
      if words.isEmpty || words.first?.hasPrefix("#") == true { continue }
      if words.first == "server" {
        if words.count < 3 || !names.contains(String(words[1])) { found.append("no server of ours: \(text)") }
        if text.utf8.contains(where: { $0 < 0x20 && $0 != 9 || $0 == 0x7F }) { found.append("control bytes: \(text)") }
      } else if !HostileZnodeTests.configuration.contains(words.joined(separator: " ")) {
        found.append("a line from nowhere: \(text)")
      }
    }
    return found
  }

  /// One command on one line, about one of our servers that is not one of the good ones.
  private func complaints(about command: RuntimeCommand, names: Set<String>) -> [String] {
    let words = command.text.split(separator: " ")
    let verbs = ["add server", "enable health", "enable agent", "set server"]
    guard words.count >= 3, verbs.contains(words.prefix(2).joined(separator: " ")),
      !command.text.utf8.contains(where: { $0 < 0x20 || $0 == 0x3B || $0 >= 0x7F })
    else { return ["no planned command: \(command.text)"] }
    guard words[2].hasPrefix("web/"), names.contains(String(words[2].dropFirst(4))) else {
      return ["about no server of ours: \(command.text)"]
    }
    let touchesGood = HostileZnodeTests.good.contains { words[2] == "web/\($0.serverName)" }
    return touchesGood ? ["touches a good server: \(command.text)"] : []
  }

  @LoopActor private func check(_ file: String, _ round: Int) async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/haproxy.cfg"
    try Files.write(Array(file.utf8), to: path, mode: 0o600, sync: false)
    let result = try await ChildProcess.run(
      HAProxyServer.executable, arguments: ["-c", "-f", path], deadline: .seconds(60))
    let words = String(decoding: result.output + result.errorOutput, as: UTF8.self)
    // What HAProxy alone can know (a keyword's value, for one) the agent leaves out by its answer: only a server's own
    // line may be refused, and none may be broken into two.
    let lines = file.split(separator: "\n", omittingEmptySubsequences: false)
    for alert in CheckAlert.all(in: words, path: path) {
      if let number = alert.line, number <= lines.count, lines[number - 1].contains("server ") { continue }
      if alert.line == nil { continue }
      Issue.record("seed \(HostileZnodeTests.seed), round \(round): HAProxy refuses \(alert): \(words.prefix(800))")
    }
  }
}

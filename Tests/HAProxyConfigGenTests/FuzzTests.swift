import Glibc
import SmartStack
import TestSupport
import Testing

@testable import HAProxyConfigGen

/// Difference 3: whatever is registered, every line of the file is the configuration's or a valid server's.
@Suite("hostile registrations") struct FuzzTests {
  private static let pieces = [
    "a", "host1", "10.0.0.1", "::1", "2001:db8::1", "example.com", " ", "  ", "\t", "\n", "\r\n", "\u{b}", "\u{c}",
    "\0", "\u{85}",
    "\u{2028}", "#", "\"", "'", "\\", ";", "$", "${PATH}", "%{host}", "%{nope}", "%", "%%", "<<", "|", "é", "🎈",
    "e\u{301}",
    "/", "unix@", "@", "*", ":", ".", "-", "_", "{", "}", "(", ")", ",", "=", "check", "backup", "id", "id 7", "id 0",
    "weight",
    "weight 5", "disabled", "enabled", "cookie x", "inter 2s", "inter", "maxconn 9", "frontend evil", "backend evil",
    "\nfrontend evil\n\tbind 127.0.0.1:6660\n", "server x 10.9.9.9:1", "global", "80", "99999", "-1", "\u{7f}",
    "\u{1b}[2J",
    "no-check", "track a/b", "source 10.0.0.1", "rise 3", "observe layer7", "resolvers r", "init-addr none",
    "sni str(x)",
  ]

  private static func text(_ generator: inout SeededGenerator, atMost: Int) -> String {
    (0..<Int.random(in: 0...atMost, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }
      .joined()
  }

  private static func words(_ generator: inout SeededGenerator) -> String {
    (0..<Int.random(in: 0...4, using: &generator)).map { _ in pieces.randomElement(using: &generator) ?? "" }
      .joined(separator: " ")
  }

  private static func backend(_ generator: inout SeededGenerator) -> Backend {
    let isPlain = Bool.random(using: &generator)
    return Backend(
      name: Bool.random(using: &generator) ? text(&generator, atMost: 3) : nil,
      host: isPlain ? "10.0.0.\(Int.random(in: 1...9, using: &generator))" : text(&generator, atMost: 3),
      port: isPlain ? Int.random(in: 1...9, using: &generator) : Int.random(in: -5...70_000, using: &generator),
      id: Int.random(in: -1...5, using: &generator),
      weight: Bool.random(using: &generator) ? Int.random(in: -5...400, using: &generator) : nil,
      haproxyServerOptions: Bool.random(using: &generator) ? words(&generator) : nil,
      haproxyServerID: Bool.random(using: &generator) ? Int.random(in: -1...9, using: &generator) : nil)
  }

  /// `server NAME HOST:PORT [id N] [cookie NAME] check port N` and more words of harmless characters.
  private static func isServerLine(_ line: Substring) -> Bool {
    var words = line.split(separator: " ", omittingEmptySubsequences: false)[...]
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-")
    let other = plain.union("%(){}/,=*@+~^!?&[]|")
    guard words.popFirst() == "\tserver", let name = words.popFirst(), let address = words.popFirst(),
      !name.isEmpty, name.allSatisfy(plain.contains), address.allSatisfy(plain.contains),
      let colon = address.lastIndex(of: ":"), let port = Int(address[address.index(after: colon)...]),
      (1...65_535).contains(port), colon != address.startIndex
    else { return false }
    if words.first == "id" {
      words = words.dropFirst()
      guard let id = words.popFirst().flatMap({ Int($0) }), id > 0 else { return false }
    }
    if words.first == "cookie" {
      words = words.dropFirst()
      guard words.popFirst() == name else { return false }
    }
    return words.prefix(3) == ["check", "port", "\(port)"]
      && words.allSatisfy { !$0.isEmpty && $0.allSatisfy(other.contains) }
  }

  private static func settings() -> (GeneratorSettings, ServiceSettings) {
    var settings = Fixture.settings
    settings.keepsGoneServers = true
    settings.usesNerveWeights = true
    settings.maxServerID = 40
    let service = Fixture.service {
      $0.serverOptions = "check port %{port}"
      $0.backend = ["cookie SRV insert"]
    }
    return (settings, service)
  }

  /// Seeds of one run; `SMARTSTACK_FUZZ_SEED` moves them.
  private static func seeds(_ count: Int) -> [UInt64] {
    let base = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 0
    return (1...UInt64(count)).map { base &* 1000 &+ $0 }
  }

  /// Rounds of 100 backends for each of eight seeds; `SMARTSTACK_FUZZ_ROUNDS` asks for that many backends in all.
  private static var rounds: Int {
    max(30, (getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 0) / 800)
  }

  /// What a process without any server is to be told.
  private static func commands(_ model: ProxyModel) -> [RuntimeCommand] {
    let empty = RunningProxy(version: HAProxyVersion(3, 0), backends: ["web.main": [:]])
    return Planner.plan(running: empty, loaded: LoadedConfiguration(model), wanted: model).commands
  }

  /// What the socket reads as one command.
  private static func isCommand(_ text: String) -> Bool {
    let words = text.split(separator: " ", omittingEmptySubsequences: false)
    return words.count <= 60 && words.allSatisfy { !$0.isEmpty }
      && text.utf8.allSatisfy { (0x20...0x7E).contains($0) && !";<\\#\"'$".utf8.contains($0) }
  }

  @Test("no backend writes anything but its server line", arguments: seeds(8)) func hostileBackendsStayOnTheirLines(
    _ seed: UInt64
  ) throws {
    let (settings, service) = FuzzTests.settings()
    var generator = SeededGenerator(seed: seed)
    var model = ProxyModel(settings: settings, services: [service], memory: ServerMemory())
    let frame = Set(model.render().text.split(separator: "\n"))
    var written = 0
    for round in 0..<FuzzTests.rounds {
      let backends = (0..<100).map { _ in FuzzTests.backend(&generator) }
      model.apply(ServiceSnapshot(service: "web.main", backends: backends), now: Fixture.now + round)
      let text = model.render().text
      var ids: Set<String> = []
      for line in text.split(separator: "\n") where !frame.contains(line) {
        #expect(FuzzTests.isServerLine(line), "\(line.debugDescription)")
        let words = line.split(separator: " ")
        if words[3] == "id" { #expect(ids.insert(String(words[4])).inserted, "two servers with id \(words[4])") }
        written += 1
      }
      #expect(text.utf8.allSatisfy { $0 < 0x80 && ($0 >= 0x20 || $0 == 0x0A || $0 == 0x09) })
      #expect(model.problems.allSatisfy { $0.description.isOneLine })
      for command in FuzzTests.commands(model) { #expect(FuzzTests.isCommand(command.text), "\(command)") }
    }
    #expect(written > 500)
  }

  @Test("HAProxy accepts the file once what only it can judge is skipped", arguments: seeds(4))
  func accepted(_ seed: UInt64) throws {
    let (settings, service) = FuzzTests.settings()
    var generator = SeededGenerator(seed: seed)
    var model = ProxyModel(settings: settings, services: [service], memory: ServerMemory())
    for round in 0..<4 {
      let backends = (0..<100).map { _ in FuzzTests.backend(&generator) }
      model.apply(ServiceSnapshot(service: "web.main", backends: backends), now: Fixture.now + round)
      let (file, isAccepted) = try HAProxyTool.settle(&model)
      let output = try isAccepted ? "" : HAProxyTool.check(file.text).output
      #expect(isAccepted, "\(output)")
      #expect(model.problems.allSatisfy { $0.severity != .badService })
    }
  }

  @Test("state files made of anything are read without harm", arguments: seeds(2)) func stateFiles(_ seed: UInt64) {
    let (settings, service) = FuzzTests.settings()
    var generator = SeededGenerator(seed: seed)
    let model = Fixture.model((1...9).map(Fixture.backend), settings: settings, service: service)
    let good = Array(model.stateFile(now: Fixture.now).joined())
    for _ in 0..<500 {
      var bytes = good
      for _ in 0..<Int.random(in: 1...8, using: &generator) {
        bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
      }
      if Bool.random(using: &generator) { bytes.removeLast(Int.random(in: 0..<bytes.count, using: &generator)) }
      let memory = ServerMemory(stateFile: bytes) ?? ServerMemory()
      let text = ProxyModel(settings: settings, services: [service], memory: memory).render().text
      let servers = text.split(separator: "\n").filter { $0.hasPrefix("\tserver ") }
      #expect(servers.allSatisfy { FuzzTests.isServerLine($0) }, "\(text)")
    }
  }
}

import Glibc
import Reactor
import TestSupport
import Testing

/// A nerve short of descriptors, under a storm of signals, and in its first moments; its registry is a directory.
@Suite @LoopActor struct StrainTests {
  let directory = TemporaryDirectory()

  private func configure(_ services: [String: String], hacheck: String = "false") {
    let body = services.map { name, checks in
      """
      "\(name)": {"host": "127.0.0.1", "port": 3000, "reporter_type": "file", "file_path": "\(directory.path)/r",
       "check_interval": 0.2, "checks": [\(checks)]}
      """
    }
    writeFile(
      directory.path + "/nerve.conf.json",
      """
      {"instance_id": "host1", "hacheck": \(hacheck), "state_dir": "\(directory.path)/state",
       "services": {\(body.joined(separator: ",\n"))}}
      """)
  }

  private func program(under wrapper: [String] = []) -> AgentProgram {
    AgentProgram(
      "nerve", ["-c", directory.path + "/nerve.conf.json"], under: wrapper, logPath: directory.path + "/nerve.log")
  }

  private var registered: Set<String> {
    Set(((try? Files.list(directory.path + "/r")) ?? []).compactMap { $0.split(separator: "@").first.map(String.init) })
  }

  /// `{type: http}` at a port of this test.
  private func check(_ port: Int) -> String {
    #"{"type": "http", "port": \#(port), "uri": "/", "timeout": 2, "open_timeout": 2}"#
  }

  private func listen(_ handler: @escaping @LoopActor (HTTPExchange) -> Void) throws -> (HTTPListener, port: Int) {
    let listener = HTTPListener(handler: handler)
    guard case .tcp(_, let port) = try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)) else {
      return (listener, 0)
    }
    return (listener, port)
  }

  @Test func aShortageOfDescriptorsIsNoVerdict() async throws {
    var held: [HTTPExchange] = []
    let (good, goodPort) = try listen { $0.respond(status: 200, text: "") }
    let (hanging, hangingPort) = try listen { held.append($0) }
    let healthy = Set((0..<10).map { "good\($0)" })
    configure(Dictionary(uniqueKeysWithValues: healthy.map { ($0, check(goodPort)) }))
    let nerve = program(under: ["prlimit", "--nofile=64:64"])
    try nerve.start()
    try await eventually("the healthy ones are registered") { registered == healthy }
    var services = Dictionary(uniqueKeysWithValues: healthy.map { ($0, check(goodPort)) })
    for number in 0..<80 { services["hanging\(number)"] = check(hangingPort) }
    configure(services)
    nerve.signal(SIGHUP)
    try await eventually("descriptors run out") { nerve.count(of: "checks not made, verdicts stay") > 0 }
    // Each healthy service is checked several times before a hanging one has failed twice.
    try await eventually("the hanging ones have failed") { nerve.count(of: "service is down") >= 40 }
    #expect(registered == healthy)
    #expect(nerve.count(of: "checks not made, verdicts stay") == 1)
    let down = nerve.log.split(separator: "\n").filter { $0.contains("service is down") }
    #expect(down.filter { !$0.contains("service=hanging") } == [])
    held = []
    await nerve.kill()
    good.close()
    hanging.close()
  }

  @Test func aBurstOfSignalsIsFewReloadsAndHacheckAnswersMeanwhile() async throws {
    let port = try freePort()
    let hacheck =
      #"{"port": \#(port), "bind_address": "127.0.0.1", "spool_root": "\#(directory.path)/spool"}"#
    let names = (0..<500).map { "service\($0)" }
    configure(Dictionary(uniqueKeysWithValues: names.map { ($0, #"{"type": "noop"}"#) }), hacheck: hacheck)
    let nerve = program()
    try nerve.start()
    try await eventually("all are registered") { registered.count == names.count }
    let applied = nerve.count(of: "configuration applied")
    for _ in 0..<100 { nerve.signal(SIGHUP) }
    repeat {
      let answer = try await HTTPClient.send(
        HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/spool/web/1/status"),
        deadline: .seconds(30))
      #expect(answer.status == 200)
    } while nerve.count(of: "configuration applied") == applied
    // One, unless this test was held up between two of its signals.
    #expect(nerve.count(of: "configuration applied") - applied <= 3)
    #expect(registered.count == names.count)
    await nerve.kill()
  }

  @Test func aSignalBeforeTheAgentListensDoesNotKillIt() async throws {
    configure(["web": #"{"type": "noop"}"#])
    for _ in 0..<20 {
      let nerve = program()
      try nerve.start()
      // The loop's thread is the first that the program starts.
      try await eventually("the program runs") { ((try? Files.list("/proc/\(nerve.pid)/task")) ?? []).count > 1 }
      nerve.signal(SIGHUP)
      try await eventually("it serves") { registered == ["web"] || nerve.status != nil }
      #expect(nerve.status == nil)
      nerve.signal(SIGTERM)
      try await eventually("it has stopped") { nerve.status == .exited(0) }
    }
  }

  @Test func aStarterThatIgnoresChildrenChangesNothing() async throws {
    configure(["web": #"{"type": "exec", "command": "exit 0", "timeout": 30}"#])
    let nerve = program(under: ["env", "--ignore-signal=CHLD"])
    try nerve.start()
    try await eventually("the command's end is noticed") { registered == ["web"] }
    await nerve.kill()
  }

  @Test func aLoopThatStoodStillIsReported() async throws {
    configure(["web": #"{"type": "noop"}"#])
    let nerve = program()
    try nerve.start()
    try await eventually("it serves") { registered == ["web"] }
    nerve.signal(SIGSTOP)
    let end = LoopClock.system.now + .seconds(2)
    try await eventually("longer than is tolerated") { LoopClock.system.now > end }
    nerve.signal(SIGCONT)
    try await eventually("it is reported") { nerve.count(of: "event loop stood still") == 1 }
    #expect(nerve.log.contains("it was stopped, or waited in a system call"))
    await nerve.kill()
  }

  // MARK: In-place upgrade

  private func upgrade(_ nerve: AgentProgram) async throws {
    let applied = nerve.count(of: "configuration applied")
    nerve.signal(SIGUSR2)
    try await eventually("the next program runs") { nerve.count(of: "configuration applied") == applied + 1 }
  }

  @Test func anUpgradeEndsTheCommandsOfChecksAndLeavesNoSignalBlocked() async throws {
    let pids = directory.path + "/pids"
    configure(["web": #"{"type": "exec", "command": "echo $$ >> \#(pids); exec sleep 10000", "timeout": 86400}"#])
    let nerve = program()
    try nerve.start()
    func commands() -> [String] {
      String(decoding: (try? Files.read(pids, limit: 4096)) ?? [], as: UTF8.self).split(separator: "\n").map(
        String.init)
    }
    try await eventually("the command runs") { commands().count == 1 }
    try await upgrade(nerve)
    try await eventually("the next one runs") { commands().count == 2 }
    #expect(!Files.exists("/proc/\(commands()[0])"))
    // ThreadSanitizer has a thread of its own, which blocks nearly all.
    let foreign = getenv("TSAN_OPTIONS") == nil ? 0 : 1
    // Not at once: glibc blocks all signals for a moment while it starts a command or a thread.
    for signal in [SIGABRT, SIGQUIT, SIGCHLD] {
      try await eventually("signal \(signal) is blocked nowhere") {
        try Files.list("/proc/\(nerve.pid)/task").count { thread in
          let path = "/proc/\(nerve.pid)/task/\(thread)/status"
          let status = String(decoding: (try? Files.read(path, limit: 65536)) ?? [], as: UTF8.self)
          let blocked = status.split(separator: "\n").first { $0.hasPrefix("SigBlk:") }?.split(separator: "\t").last
          return blocked.flatMap { UInt64($0, radix: 16) }.map { $0 & 1 << UInt64(signal - 1) != 0 } ?? false
        } <= foreign
      }
    }
    await nerve.kill()
    for command in commands() { if let pid = Int32(command) { kill(pid, SIGKILL) } }
  }

  /// Before the next program is asked whether it can, when this one hands over, and in its first moments.
  @Test(arguments: [("stopping", 0), ("in-place upgrade started", 1), ("configuration applied", 2)])
  func aStopDuringAnUpgradeTakesEverythingBack(_ line: String, _ count: Int) async throws {
    configure(["web": #"{"type": "noop"}"#, "geo": #"{"type": "noop"}"#])
    let nerve = program()
    try nerve.start()
    try await eventually("it serves") { registered == ["web", "geo"] }
    nerve.signal(SIGUSR2)
    try await eventually("the moment has come") { nerve.count(of: line) >= count }
    nerve.signal(SIGTERM)
    try await eventually("it has stopped; \(nerve.log)") { nerve.status == .exited(0) }
    #expect(registered.isEmpty)
  }

  @Test func anUpgradeFollowsALinkToTheNewVersion() async throws {
    configure(["web": #"{"type": "noop"}"#])
    let (link, copy, path) = (directory.path + "/nerve", directory.path + "/next", AgentProgram.path(of: "nerve"))
    symlink(path, link)
    let nerve = AgentProgram(
      "nerve", ["-c", directory.path + "/nerve.conf.json"], at: link, logPath: directory.path + "/nerve.log")
    try nerve.start()
    try await eventually("it serves") { registered == ["web"] }
    let copied = try await ChildProcess.run("cp", arguments: [path, copy], deadline: .seconds(60))
    #expect(copied.status == .exited(0))
    unlink(link)
    symlink(copy, link)
    try await upgrade(nerve)
    var name = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/\(nerve.pid)/exe", &name, name.count)
    #expect(String(decoding: name.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self) == copy)
    await nerve.kill()
  }
}

import Glibc
import Reactor
import TestSupport
import Testing
import ZooKeeper

@testable import NerveAgent

/// The real program on an ensemble of three, and what happens to ensembles; an observer with a session of its own
/// writes down every state of the directories.
///
/// `SMARTSTACK_FAULT_ROUNDS` is how often each fault happens.
@LoopActor @Suite(.serialized) struct EnsembleFaultTests {
  enum Fault: String, CaseIterable, Sendable {
    case leaderKilled, followerKilled, majorityLost, leaderPaused, allRestarted, sessionExpired, processStopped
    /// Whether the session outlives it, and with it every registration.
    var keepsSession: Bool { self != .sessionExpired && self != .processStopped }
  }

  static let rounds = getenv("SMARTSTACK_FAULT_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2

  @Test(arguments: Fault.allCases) func nothingIsLostAndNothingIsDoubled(_ fault: Fault) async throws {
    let world = try await FaultWorld()
    do {
      try await world.start()
      for round in 1...EnsembleFaultTests.rounds { try await play(fault, round, world) }
    } catch {
      await world.end()
      throw ServerTrouble(description: "\(fault): \(error)\n\(world.nerve.log.suffix(6000))")
    }
    await world.end()
  }

  private func play(_ fault: Fault, _ round: Int, _ world: FaultWorld) async throws {
    for observer in [world.steady, world.changing] { observer.mark() }
    let before = world.steady.now
    // The health of one service is another one when it is over.
    let isUp = round.isMultiple(of: 2)
    try await world.suffer(fault) { world.setChanging(up: isUp) }
    try await eventually("round \(round): the truth is registered; \(world.changing.history)") {
      world.changing.now?.count == (isUp ? 1 : 0)
    }
    try await eventually("round \(round): the healthy one is registered; \(world.steady.history)") {
      world.steady.now?.count == 1 && (fault.keepsSession || world.steady.now != before)
    }
    #expect(world.steady.most == 1 && world.changing.most <= 1, "round \(round): never two")
    if fault.keepsSession {
      #expect(world.steady.history == [before ?? []], "round \(round): never away\n\(world.nerve.log.suffix(6000))")
    }
    #expect(world.nerve.status == nil, "the agent runs")
  }
}

/// An ensemble, a nerve with two services, and an observer of each.
@LoopActor private final class FaultWorld {
  let nerve: AgentProgram
  let steady: Observer
  let changing: Observer
  private let ensemble: ZooKeeperEnsemble
  private let directory = TemporaryDirectory()
  private let tasks: (steady: Target, changing: Target)

  init() async throws {
    ensemble = try ZooKeeperEnsemble()
    tasks = (try Target(), try Target())
    tasks.changing.status = 503
    mkdir(directory.path + "/state", 0o700)
    let hosts = ensemble.servers.map { "\"\($0.connection)\"" }.joined(separator: ", ")
    let services = [("steady", tasks.steady), ("changing", tasks.changing)].map { name, task in
      """
      "\(name)": {"host": "10.0.0.5", "port": 3000, "zk_hosts": [\(hosts)], "zk_path": "/nerve/\(name)",
       "check_interval": 0.1, "checks": [{"type": "http", "host": "127.0.0.1", "port": \(task.port), "uri": "/status",
       "timeout": 5, "open_timeout": 5}]}
      """
    }
    writeFile(
      directory.path + "/nerve.conf.json",
      """
      {"instance_id": "host1", "state_dir": "\(directory.path)/state", "hacheck": false,
       "services": {\(services.joined(separator: ",\n"))}}
      """)
    nerve = AgentProgram(
      "nerve", ["-c", directory.path + "/nerve.conf.json", "--log-level", "debug"],
      logPath: directory.path + "/nerve.log")
    steady = try Observer(ensemble.connection, "/nerve/steady")
    changing = try Observer(ensemble.connection, "/nerve/changing")
  }

  func start() async throws {
    try await ensemble.start()
    try nerve.start()
    try await steady.sees(1, "registered")
    try await eventually("the other directory was looked at") { changing.now != nil }
  }

  func end() async {
    nerve.signal(SIGCONT)
    await nerve.kill()
    for observer in [steady, changing] { await observer.close() }
    await ensemble.kill()
    for task in [tasks.steady, tasks.changing] { task.close() }
  }

  func setChanging(up: Bool) { tasks.changing.status = up ? 200 : 503 }

  /// Has the fault happen, `meanwhile` in the middle of it, and end.
  func suffer(_ fault: EnsembleFaultTests.Fault, meanwhile: @LoopActor () -> Void) async throws {
    switch fault {
    case .leaderKilled: try await kill([try await leader()], meanwhile)
    case .followerKilled: try await kill([try await followers()[0]], meanwhile)
    case .majorityLost: try await kill(Array(ensemble.servers.prefix(2)), meanwhile)
    case .allRestarted: try await kill(ensemble.servers, meanwhile)
    case .leaderPaused:
      let old = try await leader()
      old.pause()
      meanwhile()
      try await eventually("another one leads") {
        for server in ensemble.servers where server !== old {
          if await server.fourLetters("srvr", patience: .milliseconds(200)).contains("Mode: leader") { return true }
        }
        return false
      }
      old.resume()
      try await ensemble.start()
    case .sessionExpired:
      meanwhile()
      try await expireSession()
    case .processStopped:
      nerve.signal(SIGSTOP)
      meanwhile()
      try await expireSession()
      nerve.signal(SIGCONT)
    }
  }

  private func kill(_ servers: [ZooKeeperServer], _ meanwhile: @LoopActor () -> Void) async throws {
    for server in servers { await server.kill() }
    meanwhile()
    try await ensemble.start()
  }

  private func leader() async throws -> ZooKeeperServer {
    var found: ZooKeeperServer?
    try await eventually("somebody leads") {
      found = await ensemble.leader()
      return found != nil
    }
    return try #require(found)
  }

  private func followers() async throws -> [ZooKeeperServer] {
    let leader = try await leader()
    return ensemble.servers.filter { $0 !== leader }
  }

  /// What the server does when a session's time is up.
  private func expireSession() async throws {
    let name = try #require(try Files.list(directory.path + "/state").first { $0.hasPrefix("session-") })
    let text = String(decoding: try Files.read(directory.path + "/state/" + name, limit: 4096), as: UTF8.self)
    let session = try #require(SavedSession(text: String(text.split(separator: "\n")[1])))
    try await ensemble.servers[0].expireSession(session.id, password: session.password)
  }
}

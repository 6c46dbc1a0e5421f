import Glibc
import Reactor
import TestSupport
import Testing

@testable import AgentKit

@Suite struct InstanceLockTests {
  @Test func aLockOfAnotherStateDirectoryIsNotAdopted() throws {
    let directory = TemporaryDirectory()
    var state = InPlaceUpgradeState()
    let old = try InstanceLock(path: directory.path + "/old")
    old.handOver(to: &state)
    let handed = dup(try #require(state.descriptors["lock"]))
    state.descriptors["lock"] = handed
    let new = try InstanceLock(path: directory.path + "/new", inherited: state)
    #expect(throws: FileError.self) { try InstanceLock(path: directory.path + "/new") }
    withExtendedLifetime((old, new)) {}
  }

  @Test func aSecondAgentIsRefusedWithThePidOfTheFirst() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/nerve.lock"
    let first = try InstanceLock(path: path)
    withExtendedLifetime(first) {
      let error = #expect(throws: FileError.self) { _ = try InstanceLock(path: path) }
      #expect(
        error?.description
          == "cannot lock \(path): another agent of this instance runs as pid \(getpid()); stop it first")
    }
  }

  @Test func aPlaceThatCannotBeWrittenIsNamed() {
    let error = #expect(throws: FileError.self) { _ = try InstanceLock(path: "/nonexistent/nerve.lock") }
    #expect(error?.description == "cannot open /nonexistent/nerve.lock: No such file or directory")
  }
}

@Suite struct StateDirectoryTests {
  @Test func theConfiguredOneWins() {
    let directory = TemporaryDirectory()
    let chosen = StateDirectory(
      configured: directory.path + "/state", agent: "nerve", environment: ["RUNTIME_DIRECTORY": "/nonexistent"])
    #expect(chosen.problem == nil)
    #expect(chosen.path(for: "a/b:c ..") == directory.path + "/state/a%2fb%3ac%20..")
    #expect(chosen.path(for: "..") == directory.path + "/state/%2e.")
  }

  @Test func theFirstRuntimeDirectoryIsNext() {
    let directory = TemporaryDirectory()
    let chosen = StateDirectory(
      configured: nil, agent: "nerve", environment: ["RUNTIME_DIRECTORY": directory.path + ":/elsewhere"])
    #expect(chosen.path == directory.path)
  }

  @Test func onePlaceThatCannotBeMadeIsAProblemNotAnEnd() {
    let chosen = StateDirectory(configured: "/proc/nowhere", agent: "nerve", environment: [:])
    #expect(chosen.problem != nil)
    #expect(chosen.path(for: "session") == nil)
  }
}

@Suite struct ServiceManagerTests {
  @Test func messagesReachTheSocket() throws {
    let directory = TemporaryDirectory()
    let receiver = try Receiver(path: directory.path + "/notify")
    let manager = ServiceManager(environment: [
      "NOTIFY_SOCKET": receiver.path, "WATCHDOG_USEC": "3000000", "WATCHDOG_PID": String(getpid()),
    ])
    manager.notify("READY=1")
    #expect(receiver.receive() == "READY=1")
    #expect(manager.watchdogInterval == .milliseconds(1500))
  }

  @Test func anAbstractNameStartsWithAnAt() throws {
    let name = "smartstack-test-\(getpid())-\(UInt64.random(in: 0...(.max)))"
    let receiver = try Receiver(path: "\0" + name)
    ServiceManager(environment: ["NOTIFY_SOCKET": "@" + name]).notify("READY=1")
    #expect(receiver.receive() == "READY=1")
  }

  @Test(arguments: [
    [:], ["NOTIFY_SOCKET": ""], ["NOTIFY_SOCKET": "relative"], ["NOTIFY_SOCKET": "/nonexistent/socket"],
    ["NOTIFY_SOCKET": "/" + String(repeating: "x", count: 200)], ["WATCHDOG_USEC": "junk"],
    ["WATCHDOG_USEC": "-1"], ["WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"],
  ])
  func withoutAUsableSocketNothingHappens(_ environment: [String: String]) {
    let manager = ServiceManager(environment: environment)
    manager.notify("READY=1")
    #expect(manager.watchdogInterval == nil)
  }
}

@Suite(.serialized) struct AgentProcessTests {
  @Test @LoopActor func notesThatCannotBeReadLeaveNoDescriptorBehind() throws {
    let directory = TemporaryDirectory()
    let handed = open(directory.path + "/lock", O_RDWR | O_CREAT, 0o600)
    #expect(flock(handed, LOCK_EX | LOCK_NB) == 0)
    setenv("SMARTSTACK_HANDOVER", "\(try ThisProcess.memory(holding: Array("no JSON".utf8))),\(handed)", 1)
    #expect(InPlaceUpgradeState.received() == nil)
    #expect(getenv("SMARTSTACK_HANDOVER") == nil)
    _ = try InstanceLock(path: directory.path + "/lock")
  }

  @Test @LoopActor func theWatchdogIsFedByAnAgentThatGetsOn() async throws {
    let directory = TemporaryDirectory()
    let receiver = try Receiver(path: directory.path + "/notify")
    let stall = Locked<String?>(nil)
    let process = AgentProcess(
      environment: ["NOTIFY_SOCKET": receiver.path, "WATCHDOG_USEC": "20000"], onReload: {})
    process.ready { stall.withLock { $0 } }
    try await eventually("it is fed") { receiver.receive() == "WATCHDOG=1" }
    stall.withLock { $0 = "nothing moves" }
    // Ten times as long as between two meals.
    var silences = 0
    try await eventually("it is not fed any more") {
      silences = receiver.receive() == nil ? silences + 1 : 0
      return silences > 20
    }
    stall.withLock { $0 = nil }
    try await eventually("it is fed again") { receiver.receive() == "WATCHDOG=1" }
    process.stop()
  }

  @Test @LoopActor func signalsReloadAndStop() async throws {
    var reloads = 0
    var stops = 0
    let process = AgentProcess(environment: [:], onReload: { reloads += 1 }, onStop: { stops += 1 })
    kill(getpid(), SIGHUP)
    try await eventually("SIGHUP is a reload") { reloads == 1 }
    kill(getpid(), SIGTERM)
    await process.waitUntilStopped()
    process.stop()
    #expect(stops == 1)
  }
}

@Suite struct StatsDTests {
  @Test @LoopActor func samplesAreDatagramsWithTags() async throws {
    let receiver = UDPReceiver()
    let statsd = StatsD(host: "127.0.0.1", port: receiver.port)
    statsd.increment("nerve.watcher.up", tags: ["service_name:web", "odd:a,b|c#d"])
    statsd.timing("nerve.check", elapsed: .milliseconds(12))
    var seen: [String] = []
    try await eventually("both datagrams arrive") {
      if let text = receiver.receive() { seen.append(text) }
      return seen.count == 2
    }
    #expect(seen == ["nerve.watcher.up:1|c|#service_name:web,odd:a_b_c_d", "nerve.check:12|ms"])
  }

  @Test @LoopActor func samplesAreThinnedOutByTheirRate() async throws {
    let receiver = UDPReceiver()
    let statsd = StatsD(host: "127.0.0.1", port: receiver.port, sampleRates: ["rare": 0, "half": 0.5])
    for _ in 0..<100 {
      statsd.increment("rare")
      statsd.gauge("half", value: 2.5, tags: ["a:b"])
    }
    statsd.gauge("last", value: 3)
    var seen: [String] = []
    try await eventually("the last datagram arrives") {
      while let text = receiver.receive() { seen.append(text) }
      return seen.last == "last:3|g"
    }
    #expect(Set(seen.dropLast()) == ["half:2.5|g|@0.5|#a:b"])
    // 100 coins: further off than 1 in 10^9 runs.
    #expect((20...80).contains(seen.count - 1))
    #expect(statsd.dropped == 0)
  }

  @Test @LoopActor func anUnresolvableHostDropsAndCounts() async throws {
    let statsd = StatsD(host: "no such host", port: 8125)
    statsd.increment("x")
    try await eventually("the early datagram is given up") { statsd.dropped == 1 }
    statsd.increment("x")
    #expect(statsd.dropped == 2)
  }
}

@Suite struct HeartbeatTests {
  @Test @LoopActor func theFileIsTouchedWhileTheLoopTurns() async throws {
    let directory = TemporaryDirectory()
    let clock = LoopClock.manual()
    let heartbeat = Ticker(touching: directory.path + "/beat", every: .seconds(1), clock: clock)
    clock.advance(by: .zero)
    #expect(Files.exists(directory.path + "/beat"))
    _ = try Files.remove(directory.path + "/beat")
    heartbeat.cancel()
    clock.advance(by: .seconds(5))
    #expect(!Files.exists(directory.path + "/beat"))
  }

  @Test @LoopActor func aProblemIsReportedOnce() {
    let clock = LoopClock.manual()
    var problems: [String] = []
    let heartbeat = Ticker(touching: "/nonexistent/beat", every: .seconds(1), clock: clock) {
      problems.append($0.description)
    }
    clock.advance(by: .seconds(5))
    #expect(problems.count == 1)
    heartbeat.cancel()
  }
}

/// A bound Unix datagram socket.
private final class Receiver {
  let path: String
  private let descriptor: Int32

  init(path: String) throws {
    self.path = path
    descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let code = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count))
      }
    }
    try #require(code == 0)
  }

  deinit { close(descriptor) }

  func receive() -> String? { received(descriptor) }
}

private func received(_ descriptor: Int32) -> String? {
  var buffer = [UInt8](repeating: 0, count: 4096)
  let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
  return count < 0 ? nil : String(decoding: buffer[..<count], as: UTF8.self)
}

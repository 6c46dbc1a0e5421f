import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent

@Suite struct RegistrationFileNameTests {
  static let cases = [
    ("web.main", "host1", "web.main@host1.json"),
    ("web_0", "i-0a.b", "web_0@i-0a.b.json"),
    ("a/b", "h", "a%2fb@h.json"),
    (".hidden", "h", "%2ehidden@h.json"),
    ("a@b", "c", "a%40b@c.json"),
    ("é\n", "h", "%c3%a9%0a@h.json"),
  ]

  @Test("names", arguments: cases) func name(_ service: String, _ instance: String, _ expected: String) {
    #expect(RegistrationFileName(service: service, instance: instance).text == expected)
    #expect(expected.hasSuffix(RegistrationFileName.ending(of: instance)))
  }

  @Test func noInstanceEndsLikeAnother() {
    let file = RegistrationFileName(service: "web", instance: "a@b").text
    #expect(!file.hasSuffix(RegistrationFileName.ending(of: "b")))
  }
}

@Suite @LoopActor struct FileReporterTests {
  let directory = TemporaryDirectory()
  let registry = FileRegistry(clock: .system, logger: silent)
  let environment = RunnerEnvironment(clock: .system, logger: silent, metrics: Metrics())

  private var root: String { directory.path + "/registrations/web" }

  private func target(_ service: String = "web", data: String = "{}", renewal: Duration? = nil) -> FileTarget {
    FileTarget(
      directory: root, name: RegistrationFileName(service: service, instance: "host1").text, data: Array(data.utf8),
      renewal: renewal)
  }

  private func reporter(_ target: FileTarget) -> RecordReporter {
    let record = registry.record(target)
    return RecordReporter(
      service: "web", data: target.data, record: record, renewal: target.renewal, reachable: { !record.isFailing },
      environment: environment)
  }

  private func text(_ target: FileTarget) -> String? {
    (try? Files.read(target.path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func theFileFollowsTheVerdict() async throws {
    let target = target(data: #"{"host":"10.0.0.5"}"#)
    let reporter = reporter(target)
    #expect(reporter.state == .idle)
    reporter.report(.up)
    try await eventually("registered") { reporter.state == .settled(.up, place: target.path) }
    #expect(text(target) == #"{"host":"10.0.0.5"}"#)
    #expect(try Files.list(root) == ["web@host1.json"])
    reporter.report(.down)
    try await eventually("gone") { reporter.state == .settled(.down, place: nil) }
    #expect(try Files.list(root) == [])
    reporter.report(.up)
    reporter.report(.down)
    reporter.report(.up)
    try await eventually("back") { reporter.state.isSettled && text(target) != nil }
    await reporter.close()
    #expect(try Files.list(root) == [])
    #expect(environment.meters.registrations.value == 2)
  }

  @Test func aFileOfAnEarlierRunIsTakenOverOrRemoved() async throws {
    try Files.makeDirectory(root, mode: 0o755)
    let (up, down) = (target("up", data: "{}"), target("down"))
    for target in [up, down] { writeFile(target.path, "{}") }
    let inode = fileNumber(up.path)
    let (first, second) = (reporter(up), reporter(down))
    first.report(.up)
    second.report(.down)
    try await eventually("one stays, one goes") { first.state.isSettled && text(down) == nil }
    #expect(text(up) == "{}")
    #expect(fileNumber(up.path) == inode)
    await first.close()
  }

  @Test func whatNobodyWantsIsSweptAndNothingElse() async throws {
    try Files.makeDirectory(root, mode: 0o755)
    let kept = target("kept")
    let reporter = reporter(kept)
    reporter.report(.up)
    try await eventually("registered") { reporter.state.isSettled }
    let stale = ["old@host1.json", ".old@host1.json.1a2b~"]
    let foreign = ["old@host2.json", "old@xhost1.json", "notes.txt", ".x~"]
    for name in stale + foreign { writeFile("\(root)/\(name)", "{}") }
    await registry.dropLeftovers(of: "host1", in: [root, root + "/missing"])
    #expect(try Files.list(root) == (foreign + ["kept@host1.json"]).sorted())
    await reporter.close()
  }

  @Test func aSuccessorOfTheSameFileLeavesNoGap() async throws {
    let (old, new) = (reporter(target(data: "old")), reporter(target(data: "new")))
    old.report(.up)
    try await eventually("the old one is there") { old.state.isSettled }
    new.report(.up)
    try await eventually("the new one is there") { new.state.isSettled }
    #expect(text(target()) == "new")
    await old.close()
    #expect(text(target()) == "new")
    await new.close()
    #expect(text(target()) == nil)
  }

  @Test func whatIsRefusedIsTriedAgainAndSaysWhy() async throws {
    // A file where the directory should be.
    writeFile(directory.path + "/registrations", "")
    let target = target()
    let reporter = reporter(target)
    reporter.report(.up)
    try await eventually("refused") { if case .failed = reporter.state { true } else { false } }
    guard case .failed(.up, let reason) = reporter.state else { return }
    #expect(reason.contains(directory.path + "/registrations"))
    #expect(!reporter.isReachable)
    #expect(environment.meters.reportFailures.value == 1)
    try Files.remove(directory.path + "/registrations")
    try await eventually("registered after all") { reporter.state == .settled(.up, place: target.path) }
    #expect(reporter.isReachable)
    await reporter.close()
  }

  @Test func aRenewedFileComesBackWhenSomebodyRemovesIt() async throws {
    let target = target(renewal: .milliseconds(20))
    let reporter = reporter(target)
    reporter.report(.up)
    try await eventually("registered") { reporter.state.isSettled }
    try Files.remove(target.path)
    try await eventually("written again") { text(target) != nil }
    await reporter.close()
    #expect(text(target) == nil)
  }

  private func fileNumber(_ path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }
}

/// The whole agent with files as its registry.
@Suite @LoopActor struct FileAgentTests {
  let directory = TemporaryDirectory()

  private func configure(_ services: String...) {
    let body = services.map { name in
      """
      "\(name)": {"host": "10.0.0.5", "port": 3000, "reporter_type": "file", "file_path": "\(directory.path)/r/",
       "check_interval": 0.05, "checks": [{"type": "exec", "command": "test -e \(directory.path)/$NERVE_SERVICE"}]}
      """
    }
    writeFile(
      directory.path + "/nerve.conf.json",
      """
      {"instance_id": "host1", "hacheck": false, "state_dir": "\(directory.path)/state",
       "services": {\(body.joined(separator: ",\n"))}}
      """)
  }

  private func agent() throws -> Agent {
    let agent = Agent(options: AgentOptions(configuration: directory.path + "/nerve.conf.json"), logger: silent)
    try agent.start()
    return agent
  }

  private var files: [String] { (try? Files.list(directory.path + "/r")) ?? [] }

  @Test func healthReloadCrashAndStop() async throws {
    configure("web", "geo")
    writeFile(directory.path + "/web", "")
    var agent = try agent()
    try await eventually("the healthy one is registered") { files == ["web@host1.json"] }
    let text = String(decoding: try Files.read(directory.path + "/r/web@host1.json", limit: 4096), as: UTF8.self)
    #expect(text == #"{"host":"10.0.0.5","port":3000,"name":"host1"}"#)
    writeFile(directory.path + "/geo", "")
    try await eventually("the other too") { files == ["geo@host1.json", "web@host1.json"] }
    try Files.remove(directory.path + "/web")
    try await eventually("the sick one goes") { files == ["geo@host1.json"] }
    // What a crash leaves is adopted if it is wanted, and removed if the service is gone from the configuration.
    await agent.abandon()
    #expect(files == ["geo@host1.json"])
    writeFile(directory.path + "/web", "")
    writeFile(directory.path + "/r/gone@host1.json", "{}")
    agent = try self.agent()
    try await eventually("what is wanted is there") { files == ["geo@host1.json", "web@host1.json"] }
    configure("web")
    agent.reload()
    try await eventually("a removed service goes") { files == ["web@host1.json"] }
    await agent.stop()
    #expect(files == [])
  }
}

import AgentKit
import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent

/// The real program under real signals, seen by an observer with a session of its own.
@LoopActor @Suite struct ReplacementTests {
  @Test func anotherProgramTakesOverInPlace() async throws {
    let port = try freePort()
    try await withProgram(more: ", \"status_port\": \(port)") { world, nerve, observer in
      let client = Client { try await world.ask("/spool/web.main/31000/status") }
      let reader = Client {
        let page = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/status")
        return try await HTTPClient.send(page, deadline: .seconds(20)).status
      }
      // A round that fails ends the test, and their questions with it: they would keep the loop from all other tests.
      defer { for asker in [client, reader] { asker.isStopping = true } }
      for round in 1...5 {
        let before = (pid: nerve.pid, started: nerve.count(of: "configuration applied"))
        nerve.signal(SIGUSR2)
        try await eventually("round \(round): the next one runs") {
          nerve.count(of: "configuration applied") > before.started
            && nerve.count(of: "in-place upgrade started") == round
        }
        try await eventually("round \(round): its node is its own") { nerve.count(of: "registered") == round + 1 }
        #expect(nerve.pid == before.pid && nerve.status == nil)
      }
      for asker in [client, reader] {
        await asker.stop()
        #expect(asker.problems.isEmpty, "\(asker.problems.prefix(3))")
        #expect(asker.answers > 0)
      }
      #expect(observer.history == [["host1_0000000000"]])
      // The one that runs now is as good as the first: it drains and it stops.
      #expect(try await world.post("web.main/0", "status=down&reason=test&expiration=9999999999") == 200)
      try await observer.sees(0, "drained")
      nerve.signal(SIGTERM)
      try await eventually("ended") { nerve.status == .exited(0) }
    }
  }

  @Test func whatTheNewProgramWouldRefuseIsNotPutInPlace() async throws {
    try await withProgram { world, nerve, observer in
      writeFile(world.configurationPath, "{\"instance_id\": \"host1\", \"services\": {\"web\": {}}}")
      nerve.signal(SIGUSR2)
      try await eventually("refused") { nerve.count(of: "in-place upgrade rejected") == 1 }
      #expect(nerve.log.contains("services.web"))
      #expect(nerve.count(of: "in-place upgrade started") == 0)
      #expect(observer.history == [["host1_0000000000"]])
    }
  }

  @Test func killedAndStartedAgainNobodyNotices() async throws {
    try await withProgram { _, nerve, observer in
      for round in 1...20 {
        await nerve.kill()
        try nerve.start()
        try await eventually("round \(round): its node is its own") { nerve.count(of: "registered") == round + 1 }
      }
      #expect(observer.history == [["host1_0000000000"]])
    }
  }

  @Test func theRunningOneTellsWhatItDoes() async throws {
    try await withProgram { world, nerve, observer in
      let table = try await tool(["status", "-c", world.configurationPath])
      #expect(table.status == .exited(0))
      let text = String(decoding: table.output, as: UTF8.self)
      #expect(text.contains("pid \(nerve.pid): 1 of 1 service up; registry connected\n"))
      #expect(text.contains("/nerve/web/host1_0000000000"))
      #expect(try await world.post("web.main/0", "status=down&reason=test&expiration=9999999999") == 200)
      try await observer.sees(0, "drained")
      let json = try await tool(["status", "--json", "-c", world.configurationPath])
      #expect(json.status == .exited(1))
      let service = try #require(JSONValue(json.output)?["services"]?.array?.first)
      #expect(service["drained"] == true && service["state"] == "down" && service["place"] == .null)
      let report = try #require(JSONValue(json.output))
      let differences = try StatusFields.differences(of: report, from: "nerve")
      #expect(differences.isEmpty, "\(differences)")
      #expect(try await tool(["status", "we*", "--down", "-c", world.configurationPath]).status == .exited(1))
      let wrong = try await tool(["status", "wbe", "-c", world.configurationPath])
      #expect(wrong.status == .exited(2))
      #expect(String(decoding: wrong.errorOutput, as: UTF8.self).contains("there is no service 'wbe'"))
      await nerve.kill()
      let silence = try await tool(["status", "-c", world.configurationPath])
      #expect(silence.status == .exited(2))
      #expect(String(decoding: silence.errorOutput, as: UTF8.self).contains("no agent answers at"))
    }
  }

  @Test func aRejectedFileIsTold() async throws {
    try await withProgram { world, nerve, observer in
      let good = try Files.read(world.configurationPath, limit: 1 << 20)
      let text = String(decoding: good, as: UTF8.self)
      func check() async throws -> (status: ChildResult.Status, text: String) {
        let result = try await tool(["validate", "--reload", world.configurationPath])
        return (result.status, String(decoding: result.errorOutput, as: UTF8.self))
      }
      #expect(try await check().status == .exited(0))
      // Another name of the host, which only a restart changes; then text that is no configuration at all.
      for (bad, reason) in [
        (
          text.split(separator: "\"host1\"", omittingEmptySubsequences: false).joined(separator: "\"host2\""),
          "instance_id changed from 'host1' to 'host2'"
        ),
        ("{\"instance_id\": ", "\(world.configurationPath):"),
      ] {
        writeFile(world.configurationPath, bad)
        let refused = try await check()
        #expect(refused.status == .exited(1) && refused.text.contains(reason), "\(refused)")
        let rejections = nerve.count(of: "configuration rejected")
        nerve.signal(SIGHUP)
        try await eventually("rejected") { nerve.count(of: "configuration rejected") > rejections }
        // The file may not say any more where the agent listens: asked as if that were the usual directory.
        let told = try await StatusServer.reports(in: [world.directory.path + "/state"])
        #expect(told.first?["rejected"]?["reason"]?.string?.contains(reason) == true, "\(told)")
        #expect(told.first?["ok"] == false)
      }
      writeFile(
        world.configurationPath,
        text.split(separator: "\"services\": {", omittingEmptySubsequences: false).joined(
          separator: "\"services\": {\"bad\": {}, "))
      #expect(try await check().status == .exited(0), "a service that is skipped is no reason to keep the others")
      nerve.signal(SIGHUP)
      try await eventually("applied") { nerve.count(of: "service skipped") == 1 }
      let skipped = try await tool(["status", "-c", world.configurationPath])
      #expect(skipped.status == .exited(1))
      let lines = String(decoding: skipped.output, as: UTF8.self)
      #expect(lines.contains(": 1 of 2 services up, 1 skipped; "), "\(lines)")
      #expect(lines.contains("\nservice bad is skipped: \(world.configurationPath):"), "\(lines)")
      #expect(observer.history == [["host1_0000000000"]])
    }
  }

  @Test func aChangedFileNeedsNoSignalIfThatIsWanted() async throws {
    try await withProgram(more: #", "reload_on_change": true"#) { world, _, _ in
      let other = try await world.observe("/nerve/other")
      let task = try world.target()
      world.configure(
        world.service("other", check: world.http(task)), more: #", "reload_on_change": true"#)
      try await other.sees(1, "the new service")
    }
  }

  @Test func validateNamesWhatIsWrong() async throws {
    let directory = TemporaryDirectory()
    let (good, bad) = (directory.path + "/good.json", directory.path + "/bad.json")
    writeFile(good, serviceText("\"checks\": []"))
    writeFile(bad, "{\"instance_id\": \"host1\", \"services\": {\"web\": {}}}")
    let result = try await tool(["validate", good, bad])
    #expect(result.status == .exited(1))
    #expect(String(decoding: result.output, as: UTF8.self) == "\(good) is valid\n")
    #expect(String(decoding: result.errorOutput, as: UTF8.self).contains("bad.json:1:"))
  }

  private func tool(_ arguments: [String]) async throws -> ChildResult {
    try await ChildProcess.run(AgentProgram.path(of: "nerve"), arguments: arguments, deadline: .seconds(30))
  }

  /// A nerve with one registered service, checked through its hacheck.
  private func withProgram(
    more: String = "", _ body: @LoopActor (AgentWorld, AgentProgram, Observer) async throws -> Void
  ) async throws {
    try await withWorld { world in
      let task = try world.target()
      // Past any round of the tests: a check passing once more is not what keeps the registration.
      world.configure(world.service("web", check: world.throughHacheck(task), interval: 60), more: more)
      let nerve = AgentProgram(
        "nerve", ["-c", world.configurationPath, "--log-level", "debug"], logPath: world.directory.path + "/nerve.log")
      try nerve.start()
      let outcome: Result<Void, any Error>
      do {
        let observer = try await world.observe("/nerve/web")
        try await observer.sees(1, "registered")
        try await eventually("nerve says so") { nerve.count(of: "registered") == 1 }
        observer.mark()
        outcome = .success(try await body(world, nerve, observer))
      } catch {
        outcome = .failure(error)
      }
      await nerve.kill()
      do { try outcome.get() } catch { throw ServerTrouble(description: "\(error)\n\(nerve.log.suffix(8000))") }
    }
  }
}

/// Asks again and again, with a connection for each question, and expects HTTP 200.
@LoopActor private final class Client {
  private(set) var answers = 0
  private(set) var problems: [String] = []
  private var tasks: [Task<Void, Never>] = []
  var isStopping = false

  init(_ ask: @escaping @LoopActor () async throws -> Int) {
    for _ in 0..<4 {
      tasks.append(Task { @LoopActor [weak self] in while self?.isStopping == false { await self?.note(ask) } })
    }
  }

  private func note(_ ask: @LoopActor () async throws -> Int) async {
    do {
      let status = try await ask()
      if status == 200 { answers += 1 } else { problems.append("status \(status)") }
    } catch {
      problems.append("\(error)")
      // A refused connection is an answer at once, without a wait.
      await Task.yield()
    }
  }

  func stop() async {
    isStopping = true
    for task in tasks { await task.value }
  }
}

import Glibc
import Reactor
import TestSupport
import Testing

@testable import Configure

@Suite struct ConfigureNerveWatchTests {
  /// Runs `body` beside a watch on the host; gives it the lines the watch says.
  @LoopActor static func watching(
    _ host: NerveHost, _ body: @LoopActor (@LoopActor () -> [String]) async throws -> Void
  ) async throws {
    var lines: [String] = []
    host.options.touchesUnchanged = false
    let watch = ConfigureWatch(configurator: NerveConfigurator(options: host.options, remembers: true)) {
      lines.append($0)
    }
    let running = Task { @LoopActor in await watch.run() }
    do { try await body { lines } } catch {
      watch.stop()
      throw error
    }
    watch.stop()
    await running.value
  }

  @Test @LoopActor func everyFileThatCountsIsWatched() async throws {
    let host = try NerveHost()
    try await ConfigureNerveWatchTests.watching(host) { _ in
      try await eventually("the first run") { host.names == ["web.main.s:10.0.0.1.8000"] }
      try host.directory.write("8001", to: "soa/web/port")
      try await eventually("a port") { host.names == ["web.main.s:10.0.0.1.8001"] }
      try host.directory.write("{x: y}", to: "labels/web.main8001")
      try await eventually("a label") { host.configuration?.contains("\"x\": \"y\"") == true }
      try host.directory.write("main: {proxy_port: 1}", to: "soa/api/smartstack.yaml")
      try host.directory.write("9000", to: "soa/api/port")
      try host.directory.write(#"{"namespaces": ["main"]}"#, to: "static/api")
      try await eventually("a service") { host.names.count == 2 }
      #expect(unlink(host.directory.path + "/static/api") == 0)
      try await eventually("a service that goes") { host.names == ["web.main.s:10.0.0.1.8001"] }
    }
  }

  /// Configuration is delivered by renaming directories and by pointing a link elsewhere.
  @Test @LoopActor func renamedDirectoriesAndSwappedLinksAreSeen() async throws {
    let host = try NerveHost()
    let root = host.directory.path
    let link = root + "/current"
    #expect(symlink("soa", link) == 0)
    host.options.inputs.soaDir = link
    try await ConfigureNerveWatchTests.watching(host) { _ in
      try await eventually("the first run") { host.names == ["web.main.s:10.0.0.1.8000"] }
      for name in ["location_types.json", "location_mapping.json", "web/smartstack.yaml"] {
        try host.directory.write(host.directory.text(of: "soa/\(name)") ?? "", to: "next/\(name)")
      }
      try host.directory.write("8001", to: "next/web/port")
      #expect(symlink("next", link + ".new") == 0 && rename(link + ".new", link) == 0)
      try await eventually("the link") { host.names == ["web.main.s:10.0.0.1.8001"] }
      try host.directory.write("8002", to: "next/web/port")
      try await eventually("a file behind the link") { host.names == ["web.main.s:10.0.0.1.8002"] }
      #expect(rename(root + "/next", root + "/gone") == 0 && rename(root + "/soa", root + "/next") == 0)
      try await eventually("the directory") { host.names == ["web.main.s:10.0.0.1.8000"] }
    }
  }

  /// Whatever goes wrong is said once; the file stays, and the correction is seen.
  @Test @LoopActor func badInputLeavesTheFileAndItsCorrectionIsSeen() async throws {
    let host = try NerveHost()
    try await ConfigureNerveWatchTests.watching(host) { lines in
      try await eventually("the first run") { host.configuration != nil }
      let before = host.configuration
      try host.directory.write("[", to: "soa/location_types.json")
      try await eventually("a line") { lines().contains { $0.contains("location_types.json:") } }
      try host.directory.write("8001", to: "soa/web/port")
      try host.directory.write("[[", to: "soa/location_types.json")
      try await eventually("the next line") { lines().count(where: { $0.contains("location_types.json:") }) >= 1 }
      #expect(host.configuration == before)
      try host.directory.write(#"["superregion", "region"]"#, to: "soa/location_types.json")
      try await eventually("the correction") { host.names == ["web.main.s:10.0.0.1.8001"] }
    }
  }

  @Test @LoopActor func programsAreAskedAgainAndTheirFailureKeepsTheLastList() async throws {
    let host = try NerveHost()
    let root = host.directory.path
    try host.directory.write("#!/bin/sh\ncat \(root)/services\n", to: "list")
    #expect(chmod(root + "/list", 0o755) == 0)
    host.options.inputs.sources = [.command([root + "/list"]), .directory(root + "/static")]
    host.options.pollInterval = .milliseconds(50)
    try await ConfigureNerveWatchTests.watching(host) { lines in
      // Until the program answered once, nothing may be taken away.
      try await eventually("the failure") { lines().contains { $0.contains("exit status 1") } }
      #expect(host.configuration == nil)
      try host.directory.write(#"[["api.main", {"port": 1}]]"#, to: "services")
      try await eventually("the first list") { host.names == ["api.main.s:10.0.0.1.1", "web.main.s:10.0.0.1.8000"] }
      #expect(unlink(root + "/services") == 0)
      try await eventually("another failure") { lines().count(where: { $0.contains("exit status 1") }) >= 2 }
      try host.directory.write("8001", to: "soa/web/port")
      try await eventually("the other source") { host.names.contains("web.main.s:10.0.0.1.8001") }
      #expect(host.names.contains("api.main.s:10.0.0.1.1"))
      try host.directory.write("[]", to: "services")
      try await eventually("the next list") { host.names == ["web.main.s:10.0.0.1.8001"] }
    }
  }

  @Test @LoopActor func aTaskThatStartsIsRegisteredAndAgentsMayFail() async throws {
    let host = try NerveHost(["soa/web/marathon-west.yaml": "main: {}"])
    let state = Locked<String>("")
    let agent = LoopbackServer { connection in
      connection.receive(until: "\r\n\r\n")
      let body = state.withLock { $0 }
      let status = body.isEmpty ? "500 Not yet" : "200 OK"
      connection.send("HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
    let running = { (taskState: String) in
      #"{"id": "s1", "frameworks": [{"name": "marathon", "executors": [{"id": "web.main.1", "resources": {"ports": "[31000-31000]"}, "#
        + #""tasks": [{"state": "\#(taskState)"}]}]}]}"#
    }
    host.options.inputs.sources = [.mesos(url: "http://127.0.0.1:\(agent.port)")]
    host.options.pollInterval = .milliseconds(50)
    try await ConfigureNerveWatchTests.watching(host) { lines in
      try await eventually("the failure") { lines().contains { $0.contains("answers with status 500") } }
      #expect(host.configuration == nil)
      state.withLock { $0 = running("TASK_STAGING") }
      try await eventually("no task yet") { host.configuration != nil && host.names.isEmpty }
      state.withLock { $0 = running("TASK_RUNNING") }
      try await eventually("the task") { host.names == ["web.main.s:10.0.0.1.31000"] }
    }
  }

  @Test @LoopActor func anUnchangedFileIsTouchedOnlyIfAsked() async throws {
    let host = try NerveHost()
    _ = await host.run()
    let times = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, host.options.outputs.nerveConfigPath, times, 0) == 0)
    host.options.touchesUnchanged = false
    #expect(await host.run() == NerveConfigurator.Outcome())
    #expect(Files.modificationTime(host.options.outputs.nerveConfigPath) == 1_000_000)
    host.options.touchesUnchanged = true
    _ = await host.run()
    #expect(try #require(Files.modificationTime(host.options.outputs.nerveConfigPath)) > 1_600_000_000)
  }
}

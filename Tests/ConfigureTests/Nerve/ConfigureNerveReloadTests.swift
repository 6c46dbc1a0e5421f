import Glibc
import Reactor
import TestSupport
import Testing

@testable import Configure

@Suite struct ConfigureNerveReloadTests {
  /// Programs that note how they are called; `nerve` is one that checks, and refuses what holds `refuse`.
  @LoopActor private static func stubs(_ host: NerveHost, failing: String = "") throws -> String {
    let root = host.directory.path
    for name in ["service", "checker"] {
      try host.directory.write(
        """
        #!/bin/sh
        echo "\(name) $*" >> \(root)/calls
        case "$*" in \(failing.isEmpty ? "none" : failing)) echo "no luck" >&2; exit 1;; esac
        """, to: "bin/\(name)")
      #expect(chmod("\(root)/bin/\(name)", 0o755) == 0)
    }
    host.options.outputs.nerveCommand.words = ["\(root)/bin/service", "nerve"]
    host.options.outputs.nerveBackupCommand.words = ["\(root)/bin/service", "backup"]
    host.options.outputs.nerveRegistrationDelayS = 0
    host.options.startPatience = .zero
    return root
  }

  private static let restart = [
    "service backup start", "service nerve stop", "service nerve start", "service backup stop",
  ]

  @LoopActor private static func calls(_ host: NerveHost) -> [String] {
    let text = host.directory.text(of: "calls") ?? ""
    return text.split(separator: "\n").map { String($0).replacing(host.directory.path + "/", with: "") }
  }

  @Test @LoopActor func withoutARunningNerveItIsRestartedBehindABackup() async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host)
    host.options.outputs.reload = .auto
    let outcome = await host.run()
    #expect(outcome.status == 0)
    #expect(outcome.output.contains("nerve is restarted: no running nerve holds a lock in \(root)/run"))
    #expect(ConfigureNerveReloadTests.calls(host) == ConfigureNerveReloadTests.restart)
    #expect(await host.run() == NerveConfigurator.Outcome())
    #expect(ConfigureNerveReloadTests.calls(host).count == 4)
  }

  @Test @LoopActor func aHeartbeatThatStoppedMeansARestart() async throws {
    let host = try NerveHost()
    _ = await host.run()
    _ = try ConfigureNerveReloadTests.stubs(host)
    host.options.outputs.reload = .sighup
    try host.directory.write("", to: "heartbeat")
    #expect(await host.run() == NerveConfigurator.Outcome())
    let times = [timespec(tv_sec: 1_000_000, tv_nsec: 0), timespec(tv_sec: 1_000_000, tv_nsec: 0)]
    #expect(utimensat(AT_FDCWD, host.options.outputs.heartbeatPath, times, 0) == 0)
    #expect(await host.run().output.contains("was not touched for too long"))
    #expect(ConfigureNerveReloadTests.calls(host) == ConfigureNerveReloadTests.restart)
  }

  /// A pid is given out again: the one in the file may be any program's.
  @Test @LoopActor func onlyANerveGetsASignal() async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host)
    host.options.outputs.reload = .sighup
    host.options.outputs.nervePidPath = root + "/pid"
    let other = try ChildProcess.start("/bin/sleep", arguments: ["1000"])
    defer { kill(other.pid, SIGKILL) }
    try host.directory.write("\(other.pid)\n", to: "pid")
    let outcome = await host.run()
    #expect(outcome.output.contains("nerve is restarted: \(root)/pid names no running nerve"), "\(outcome)")
    #expect(ConfigureNerveReloadTests.calls(host) == ConfigureNerveReloadTests.restart)
    #expect(kill(other.pid, 0) == 0)
  }

  @Test @LoopActor func aCommandThatFailsIsNamedAndTheBackupStopped() async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host, failing: #""nerve stop""#)
    host.options.outputs.reload = .restart
    let outcome = await host.run()
    #expect(outcome.status == 1)
    #expect(
      outcome.problems == [
        "`\(root)/bin/service nerve stop` failed (exit status 1): no luck; the next run tries again"
      ])
    #expect(
      ConfigureNerveReloadTests.calls(host) == ["service backup start", "service nerve stop", "service backup stop"])
    // The file is in place; that nerve does not know of it is not forgotten.
    _ = try ConfigureNerveReloadTests.stubs(host)
    #expect(await host.run().status == 0)
    #expect(ConfigureNerveReloadTests.calls(host).suffix(4) == ConfigureNerveReloadTests.restart[...])
    #expect(await host.run() == NerveConfigurator.Outcome())
    #expect(ConfigureNerveReloadTests.calls(host).count == 7)
  }

  @Test @LoopActor func aProgramThatRefusesTheCandidateKeepsTheFile() async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host, failing: "*-k")
    host.options.outputs.nerveExecutablePath = "\(root)/bin/checker"
    try host.directory.write("{}", to: "nerve.conf.json")
    let outcome = await host.run()
    let path = host.options.outputs.nerveConfigPath
    #expect(outcome.status == 1)
    #expect(
      outcome.problems == [
        "`\(root)/bin/checker -c \(path).tmp -k` refuses the new configuration with exit status 1: no luck; \(path) stays as it was"
      ])
    #expect(host.configuration == "{}")
    _ = try ConfigureNerveReloadTests.stubs(host)
    #expect(await host.run().status == 0)
    #expect(host.names == ["web.main.s:10.0.0.1.8000"] && host.directory.text(of: "nerve.conf.json.tmp") == nil)
  }

  /// A process called nerve that notes its signals.
  @LoopActor private static func startNerve(_ host: NerveHost) async throws -> ChildProcess {
    let root = host.directory.path
    try host.directory.write(
      "#!/bin/sh\ntrap 'echo hup >> \(root)/calls' HUP\necho up >> \(root)/calls\nwhile :; do read x; done\n",
      to: "nerve")
    #expect(chmod("\(root)/nerve", 0o755) == 0)
    #expect(mkfifo("\(root)/fifo", 0o600) == 0)
    let child = try ChildProcess.start("/bin/sh", arguments: ["-c", "exec \(root)/nerve <>\(root)/fifo"])
    try await eventually("the script runs") { ConfigureNerveReloadTests.calls(host).contains("up") }
    return child
  }

  /// Writes the pid where `auto` looks for it.
  @LoopActor private static func takeLock(_ nerve: ChildProcess, _ host: NerveHost) throws {
    try host.directory.write("\(nerve.pid)\n", to: "run/lock-\(HostIdentity.look().name)")
  }

  /// A process called nerve, whose pid stands in the lock file of this instance or in the pid file.
  @Test(arguments: [ConfigureNerveOutputs.Reload.auto, .sighup])
  @LoopActor func aRunningNerveGetsASignal(_ reload: ConfigureNerveOutputs.Reload) async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host)
    let child = try await ConfigureNerveReloadTests.startNerve(host)
    defer { kill(child.pid, SIGKILL) }
    host.options.outputs.reload = reload
    host.options.outputs.nervePidPath = root + "/pid"
    try ConfigureNerveReloadTests.takeLock(child, host)
    if reload == .sighup { try host.directory.write("\(child.pid)\n", to: "pid") }
    let outcome = await host.run()
    #expect(outcome.output.contains("SIGHUP to nerve, pid \(child.pid)"), "\(outcome)")
    let wanted = ["up", "hup"] + (reload == .auto ? [] : ["service backup stop"])
    try await eventually("the signal arrives") { Set(ConfigureNerveReloadTests.calls(host)) == Set(wanted) }
  }

  @Test @LoopActor func aNerveThatIsJustStartingGetsASignal() async throws {
    let host = try NerveHost()
    _ = try ConfigureNerveReloadTests.stubs(host)
    host.options.outputs.reload = .auto
    host.options.startPatience = .seconds(60)
    let running = Task { @LoopActor in await host.run() }
    try await eventually("the file is there") { host.configuration != nil }
    let nerve = try await ConfigureNerveReloadTests.startNerve(host)
    defer { kill(nerve.pid, SIGKILL) }
    try ConfigureNerveReloadTests.takeLock(nerve, host)
    #expect(await running.value.status == 0)
    try await eventually("the signal arrives") { ConfigureNerveReloadTests.calls(host).contains("hup") }
    #expect(Set(ConfigureNerveReloadTests.calls(host)) == ["up", "hup", "service backup stop"])
  }

  /// The backup nerve takes its time; the file follows every change meanwhile, and the nerve that has come back by then is
  /// not stopped.
  @Test @LoopActor func nothingWaitsForARestartAndAHealthyNerveIsNotStopped() async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host)
    try host.directory.write(
      """
      #!/bin/sh
      echo "service $*" >> \(root)/calls
      case "$*" in "backup start") while [ ! -e \(root)/ready ]; do sleep 0.05; done;; esac
      """, to: "bin/service")
    #expect(chmod("\(root)/bin/service", 0o755) == 0)
    host.options.outputs.reload = .auto
    try await ConfigureNerveWatchTests.watching(host) { lines in
      try await eventually("the restart begins") {
        ConfigureNerveReloadTests.calls(host) == ["service backup start"]
      }
      try host.directory.write("8001", to: "soa/web/port")
      try await eventually("the file follows") { host.names == ["web.main.s:10.0.0.1.8001"] }
      try await eventually("it says why nerve has to wait") {
        lines().contains { $0.hasSuffix("changed; a restart of nerve is under way") }
      }
      let nerve = try await ConfigureNerveReloadTests.startNerve(host)
      defer { kill(nerve.pid, SIGKILL) }
      try ConfigureNerveReloadTests.takeLock(nerve, host)
      try host.directory.write("", to: "ready")
      let marker = GeneratedFile(path: host.options.outputs.nerveConfigPath)
      try await eventually("nerve is told of everything") {
        ConfigureNerveReloadTests.calls(host).contains("service backup stop") && !marker.isPending
      }
      #expect(
        Set(ConfigureNerveReloadTests.calls(host)) == ["service backup start", "up", "hup", "service backup stop"])
    }
  }

  @Test @LoopActor func aRestartThatFailsBesideTheWatchIsSaidAndTriedAgain() async throws {
    let host = try NerveHost()
    let root = try ConfigureNerveReloadTests.stubs(host, failing: #""nerve stop""#)
    host.options.outputs.reload = .auto
    try await ConfigureNerveWatchTests.watching(host) { lines in
      try await eventually("the failure is said") {
        lines().contains("`\(root)/bin/service nerve stop` failed (exit status 1): no luck; the next run tries again")
      }
      _ = try ConfigureNerveReloadTests.stubs(host)
      try host.directory.write("8001", to: "soa/web/port")
      try await eventually("the next one works") {
        ConfigureNerveReloadTests.calls(host).suffix(4) == ConfigureNerveReloadTests.restart[...]
      }
    }
  }
}

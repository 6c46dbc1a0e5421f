internal import ArgumentParser
internal import Glibc
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// `haproxy_synapse_reaper`: kills the processes that reloads of HAProxy have left behind, when they are too many or too
/// old; for a timer, where synapse itself does not.
struct Reaper: AsyncParsableCommand {
  /// The command line: upstream's, and two options more.
  static let configuration = CommandConfiguration(
    commandName: "haproxy_synapse_reaper",
    abstract: "Kill HAProxy processes that reloads have left behind, when they are too many or too old.",
    discussion: """
      For a timer. A synapse that reloads HAProxy does it itself (max_old_workers, max_old_worker_age). The processes \
      that the pid file names, their parents, and a master's youngest worker are never killed.
      """,
    version: "haproxy_synapse_reaper \(Release.version)")

  @Option(
    name: [.customShort("d"), .long],
    help: ArgumentHelp("Directory that records when each old process was first seen.", valueName: "dir"))
  private var stateDir = "/var/run/synapse_alumni"
  @Option(
    name: [.customShort("r"), .long],
    help: ArgumentHelp("Kill a process this many seconds after it was first seen.", valueName: "s"))
  private var reapAge = 3600
  @Option(
    name: [.customShort("p"), .long],
    help: ArgumentHelp("Kill the oldest processes beyond this number.", valueName: "n"))
  private var maxProcs = 10
  @Option(name: [.customShort("u"), .long], help: ArgumentHelp("User that HAProxy runs as.", valueName: "user"))
  private var username = "nobody"
  @Option(
    help: ArgumentHelp("Name of HAProxy's executable as it was started, at most 15 bytes.", valueName: "name"))
  private var processName = "haproxy-synapse"
  @Option(help: ArgumentHelp("File with the process ids of the HAProxy that serves.", valueName: "file"))
  private var pidFile = "/var/run/synapse/haproxy.pid"

  /// Runs once and exits with 0, or 1 when something could not be done.
  func run() async throws {
    let status = reap()
    if status != 0 { throw ExitCode(status) }
  }

  private func reap() -> Int32 {
    do {
      try Files.makeDirectory(stateDir, mode: 0o755)
      let old = try replaced()
      let (killed, isGood) = try kill(old)
      try forgetOthers(than: old)
      say("INFO Reaped \(killed) processes")
      return isGood ? 0 : 1
    } catch {
      say("ERROR \(error)")
      return 1
    }
  }

  // MARK: Which

  /// Processes of that name and user that serve no more, youngest first.
  private func replaced() throws -> [ProcessRecord] {
    let user = try userID()
    let serving = try servingProcesses()
    let all = ProcessRecord.all().filter { $0.name == processName }
    return Reaper.replaced(among: all, serving: serving).filter { $0.user == user }
  }

  /// A reload replaces what began earlier; a master stays, and replaces its children.
  static func replaced(among all: [ProcessRecord], serving: [ProcessRecord]) -> [ProcessRecord] {
    let pids = Set(serving.map(\.pid)).union(serving.map(\.parent))
    let start = serving.map(\.startTicks).min() ?? 0
    let others = all.filter { !pids.contains($0.pid) }.sorted { $0.startTicks > $1.startTicks }
    var masters: Set<Int32> = []
    return others.filter { process in
      guard serving.contains(where: { $0.pid == process.parent }) else { return process.startTicks < start }
      // The youngest child of each master is the one that serves.
      return !masters.insert(process.parent).inserted
    }
  }

  private func servingProcesses() throws -> [ProcessRecord] {
    let text = String(decoding: try Files.read(pidFile, limit: 1 << 16), as: UTF8.self)
    let pids = text.split(whereSeparator: \.isWhitespace).map(String.init)
    guard !pids.isEmpty else { throw OperatorError("\(pidFile) holds no process id; nothing is killed") }
    return try pids.map { word in
      guard let pid = Int32(word), let process = ProcessRecord.read(pid), process.name == processName else {
        // An unknown process serves: it might be killed as an old one.
        throw OperatorError(
          "\(pidFile) names \(word), which is not a process called \(processName); nothing is killed")
      }
      return process
    }
  }

  private func say(_ line: String) { StandardOutput.say(line + "\n") }

  private func userID() throws -> UInt32 {
    if let entry = getpwnam(username) { return entry.pointee.pw_uid }
    guard let number = UInt32(username) else { throw OperatorError("there is no user \(username)") }
    return number
  }

  // MARK: Killing

  private func kill(_ old: [ProcessRecord]) throws -> (killed: Int, isGood: Bool) {
    let limits = WorkerLimits(count: maxProcs, age: .seconds(reapAge))
    var (killed, isGood) = (0, true)
    for (index, process) in old.enumerated() {
      let age = try Int(age(of: process))
      guard limits.excess(index: index, age: .seconds(age)) != nil else { continue }
      say("INFO Reaping process \(process.pid) with age \(age)s and index \(index)")
      let code = process.signal(SIGKILL)
      if code == 0 {
        killed += 1
      } else {
        say("ERROR Process \(process.pid) cannot be killed: \(String(cString: strerror(code)))")
        isGood = false
      }
    }
    return (killed, isGood)
  }

  /// Seconds since its file was made; the file of another process that had this pid is replaced.
  private func age(of process: ProcessRecord) throws -> Double {
    let (path, mark) = ("\(stateDir)/\(process.pid)", "\(process.startTicks)\n")
    let text = (try? Files.read(path, limit: 64)).map { String(decoding: $0, as: UTF8.self) }
    // Upstream's files are empty.
    if text != mark, text != "" {
      say("INFO Creating pidfile for new alumnus: \(process.pid)")
      try Files.write(Array(mark.utf8), to: path, mode: 0o644, sync: false)
    }
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return max(0, Double(now.tv_sec) - (Files.modificationTime(path) ?? Double(now.tv_sec)))
  }

  private func forgetOthers(than old: [ProcessRecord]) throws {
    let pids = Set(old.map { String($0.pid) })
    for name in try Files.list(stateDir).sorted() where !pids.contains(name) {
      guard Int32(name) != nil else {
        say("WARNING Ignoring invalid filename: \(name)")
        continue
      }
      say("INFO Removing stale pidfile for \(name)")
      _ = try Files.remove("\(stateDir)/\(name)")
    }
  }
}

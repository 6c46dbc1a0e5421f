internal import ArgumentParser
internal import Glibc
internal import OperatorTools
internal import SynapseAgent

/// `haproxy_synapse_reaper`, with the original's arguments and two more.
struct ReaperCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "haproxy_synapse_reaper",
    abstract: "End HAProxy processes that reloads have left behind, when they are too many or too old.",
    discussion: """
      For a timer. A synapse that reloads HAProxy sees to it itself (max_old_workers, max_old_worker_age). The \
      processes that the pid file names, their parents, and a master's youngest worker are never ended.
      """,
    version: SynapseProgram.version)

  @Option(name: [.customShort("d"), .long], help: "Where is noted when an old process was first seen.")
  var stateDir = ReaperOptions().stateDirectory
  @Option(name: [.customShort("r"), .long], help: "So many seconds after that it is ended.")
  var reapAge = ReaperOptions().age
  @Option(name: [.customShort("p"), .long], help: "So many may stay; the oldest beyond are ended.")
  var maxProcs = ReaperOptions().count
  @Option(name: [.customShort("u"), .long], help: "Whom HAProxy runs as.")
  var username = ReaperOptions().user
  @Option(help: "What HAProxy was started as, at most 15 bytes.") var processName = ReaperOptions().name
  @Option(help: "Names the processes that serve.") var pidFile = ReaperOptions().pidFile

  mutating func run() async throws {
    var options = ReaperOptions()
    (options.stateDirectory, options.age, options.count) = (stateDir, reapAge, maxProcs)
    (options.user, options.name, options.pidFile) = (username, processName, pidFile)
    let status = Reaper(options) { line in
      let bytes = Array((line + "\n").utf8)
      _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }.run()
    if status != 0 { throw ExitCode(status) }
  }
}

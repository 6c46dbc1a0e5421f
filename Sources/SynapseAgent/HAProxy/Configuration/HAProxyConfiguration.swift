public import HAProxyConfigGen
public import HAProxyRuntime

/// The top level's `haproxy` section: the file's text, and how HAProxy is kept in sync with it.
public struct HAProxyConfiguration: Hashable, Sendable {
  /// Settings of the file's text.
  public var generator = GeneratorSettings()
  /// `do_writes`: whether the file is kept.
  public var writesFile = true
  /// `config_file_path`; empty only without ``writesFile``.
  public var filePath = ""
  /// `candidate_config_file_path`: where a new file is written and checked before it replaces the old one.
  public var candidatePath = ""
  /// How a new file is checked.
  public var check: FileCheck = .installedHAProxy
  /// `do_socket` and `socket_file_path`: the stats sockets; empty: none is used, so every change is a reload.
  public var sockets: [String] = []
  /// `do_reloads`, and `master_socket` or `reload_command`; nil: HAProxy is never reloaded.
  public var reload: ReloadMethod?
  /// `reload_timeout`: how long a reload may take before it has failed.
  public var reloadTimeout: Duration = .seconds(120)
  /// `fold_interval`: how long servers that were added at run time wait for a reload that makes them the file's own, and
  /// up to half of that more; zero: until a reload comes for another reason.
  public var foldInterval: Duration = .seconds(3600)
  /// `audit_interval`: how often what runs is compared with what is wanted, although nothing has changed.
  public var auditInterval: Duration = .seconds(60)
  /// `server-state-file` of `global`: where the servers' state is written before a reload.
  public var serverStatePath: String?
  /// `restart_interval`: the least time between two reloads.
  public var reloadInterval: Duration = .seconds(2)
  /// `restart_jitter`: up to this share of the interval is added to it.
  public var reloadJitter: Double = 0
  /// `max_old_workers` and `max_old_worker_age`: what may stay of processes that a reload has replaced.
  public var workerLimits = WorkerLimits()
  /// `state_file_path`; nil: nothing is remembered across restarts.
  public var stateFilePath: String?

  /// Sockets that the file does not make, or not so that commands are accepted there.
  public var socketProblems: [String] {
    guard writesFile else { return [] }
    var lines = generator.global
    for section in generator.extraSections where section.title == "global" { lines += section.lines }
    let words: [[Substring]] = lines.map { $0.split(whereSeparator: \.isWhitespace) }
    let stats = words.filter { $0.count > 2 && $0[0] == "stats" && $0[1] == "socket" }
    // Variables are HAProxy's to know.
    if stats.contains(where: { $0[2].contains("$") }) { return [] }
    return sockets.compactMap { path in
      guard let line = stats.first(where: { [path, "unix@" + path].contains(String($0[2])) }) else {
        return
          "haproxy.socket_file_path: no line `stats socket \(path) level admin` in haproxy.global makes this socket"
      }
      if zip(line, line.dropFirst()).contains(where: { $0 == "level" && $1 == "admin" }) { return nil }
      return "haproxy.socket_file_path: the line `stats socket \(path)` in haproxy.global lacks `level admin`, without "
        + "which HAProxy refuses commands"
    }
  }

  /// Upstream's defaults, without the keys that it requires.
  public init() {}
}

/// How a candidate file is checked before it becomes HAProxy's.
public enum FileCheck: Hashable, Sendable {
  /// No check, by `do_checks: false`.
  case none
  /// `do_checks` is not set: `haproxy -c` where HAProxy is installed, else nothing.
  case installedHAProxy
  /// `do_checks: true`: this command, run by the shell.
  case command(String)
}

internal import Glibc
public import Reactor

/// A real HAProxy in master-worker mode, with a stats socket, in a directory of its own.
@LoopActor public final class HAProxyServer {
  /// Where Debian installs it.
  public nonisolated static let executable = "/usr/sbin/haproxy"
  /// Whether it is there.
  public nonisolated static var isInstalled: Bool { access(executable, X_OK) == 0 }

  private let directory = TemporaryDirectory()
  private var child: ChildProcess?
  /// What the process wrote so far, warnings and alerts.
  public var log: [String] {
    let bytes = (try? Files.read(path + "/log", limit: 64 << 20)) ?? []
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
  }

  /// Nothing runs yet.
  public init() {}

  /// The directory that holds file and socket; whatever a test puts there goes with it.
  public nonisolated var path: String { directory.path }
  /// The configuration file.
  public nonisolated var configurationPath: String { directory.path + "/haproxy.cfg" }
  /// The stats socket, level admin.
  public nonisolated var socketPath: String { directory.path + "/stats.sock" }
  /// The master's command line.
  public nonisolated var masterSocketPath: String { directory.path + "/master.sock" }
  /// Lines of `global` that a file needs to be run here.
  public nonisolated var globalLines: [String] {
    ["maxconn 200", "hard-stop-after 5s", "stats socket \(socketPath) mode 600 level admin expose-fd listeners"]
  }
  /// Lines of `defaults`, with short time-outs.
  public nonisolated static let defaultsLines = [
    "mode http", "timeout connect 1s", "timeout client 10s", "timeout server 10s", "timeout queue 1s",
    "balance roundrobin", "retries 2", "option redispatch",
  ]
  /// The shell command that makes the master reload; fails while none runs, or it would be ended by the signal.
  public nonisolated var reloadCommand: String {
    "read pid < \(directory.path)/master.pid && grep -q \"^SigCgt.*[89a-f]..$\" /proc/$pid/status && kill -USR2 $pid"
  }

  /// The master's process id while it runs.
  public var masterPID: Int32? { child?.pid }

  /// Writes the configuration file.
  public func write(_ text: String) throws {
    try Files.write(Array(text.utf8), to: configurationPath, mode: 0o644, sync: false)
  }

  /// A file with nothing but what is needed here, and these sections.
  public func write(sections: [String]) throws {
    var lines = ["global"] + globalLines.map { "  " + $0 } + ["defaults"]
    lines += HAProxyServer.defaultsLines.map { "  " + $0 }
    try write((lines + sections).joined(separator: "\n") + "\n")
  }

  /// Starts the master; returns when its worker's socket takes connections and the master takes signals:
  /// while it starts, as while it reloads, HAProxy ignores SIGUSR2.
  public func start() async throws {
    let running = try ChildProcess.start(
      HAProxyServer.executable, arguments: ["-W", "-db", "-S", masterSocketPath, "-f", configurationPath],
      log: path + "/log")
    child = running
    try Files.write(Array("\(running.pid)\n".utf8), to: path + "/master.pid", mode: 0o644, sync: false)
    try await eventually("HAProxy listens") {
      if let status = running.status { throw ServerTrouble(description: "HAProxy ended (\(status)): \(self.log)") }
      guard HAProxyServer.catchesReload(running.pid) else { return false }
      return await self.answers()
    }
  }

  /// Whether the process has a handler for SIGUSR2 and does not block it.
  private nonisolated static func catchesReload(_ pid: Int32) -> Bool {
    guard let bytes = try? Files.read("/proc/\(pid)/status", limit: 1 << 16) else { return false }
    var masks: [Substring: UInt64] = [:]
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") where line.hasPrefix("Sig") {
      let parts = line.split(whereSeparator: { $0 == ":" || $0 == "\t" })
      if parts.count == 2 { masks[parts[0]] = UInt64(parts[1], radix: 16) }
    }
    let bit: UInt64 = 1 << UInt64(SIGUSR2 - 1)
    return (masks["SigCgt"] ?? 0) & bit != 0 && (masks["SigBlk"] ?? 0) & bit == 0
  }

  /// Whether the stats socket answers.
  public func answers() async -> Bool {
    do {
      let stream = try await ByteStream.connect(to: .unix(path: socketPath), deadline: .seconds(2))
      defer { stream.close() }
      try stream.write("show version\n")
      return try await !stream.readToEnd(limit: 1 << 16).isEmpty
    } catch {
      return false
    }
  }

  /// Ends master and workers at once.
  public func stop() async {
    guard let child else { return }
    self.child = nil
    child.signal(SIGTERM)
    _ = try? await child.wait()
  }

  /// Kills one process of this server, as a crash would.
  public func kill(pid: Int32) { _ = Glibc.kill(pid, SIGKILL) }
}

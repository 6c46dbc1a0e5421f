public import Reactor

internal import Glibc

/// A real HAProxy in master-worker mode, with a stats socket, in a directory of its own.
@LoopActor public final class HAProxyServer {
  /// Where Debian installs it.
  public nonisolated static let executable = "/usr/sbin/haproxy"
  /// Whether it is there.
  public nonisolated static var isInstalled: Bool { access(executable, X_OK) == 0 }

  private let directory = TemporaryDirectory()
  private var child: RunningChild?
  /// What the process wrote so far, warnings and alerts.
  public private(set) var log: [String] = []

  /// Nothing runs yet.
  public init() {}

  /// The directory that holds file and socket; whatever a test puts there goes with it.
  public nonisolated var path: String { directory.path }
  /// The configuration file.
  public nonisolated var configurationPath: String { directory.path + "/haproxy.cfg" }
  /// The stats socket, level admin.
  public nonisolated var socketPath: String { directory.path + "/stats.sock" }
  /// Lines of `global` that a file needs to be run here.
  public nonisolated var globalLines: [String] {
    ["maxconn 200", "hard-stop-after 5s", "stats socket \(socketPath) mode 600 level admin expose-fd listeners"]
  }
  /// Lines of `defaults`, with short time-outs.
  public nonisolated static let defaultsLines = [
    "mode http", "timeout connect 1s", "timeout client 10s", "timeout server 10s", "timeout queue 1s",
    "balance roundrobin", "retries 2", "option redispatch",
  ]
  /// The shell command that makes the master reload; fails while none runs.
  public nonisolated var reloadCommand: String { "kill -USR2 $(cat \(directory.path)/master.pid)" }

  /// The master's process id while it runs.
  public var masterPID: Int32? { child?.pid }

  /// Writes the configuration file.
  public func write(_ text: String) throws {
    try AtomicFile.write(Array(text.utf8), to: configurationPath, mode: 0o644, sync: false)
  }

  /// A file with nothing but what is needed here, and these sections.
  public func write(sections: [String]) throws {
    var lines = ["global"] + globalLines.map { "  " + $0 } + ["defaults"]
    lines += HAProxyServer.defaultsLines.map { "  " + $0 }
    try write((lines + sections).joined(separator: "\n") + "\n")
  }

  /// Starts the master; returns when its worker's socket takes connections.
  public func start() async throws {
    let running = try ChildProcess.start(
      HAProxyServer.executable, ["-W", "-db", "-f", configurationPath],
      output: .lines { [weak self] line in self?.log.append(line) })
    child = running
    try AtomicFile.write(Array("\(running.pid)\n".utf8), to: path + "/master.pid", mode: 0o644, sync: false)
    try await eventually("HAProxy listens; it said: \(log)") { await self.answers() }
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

  /// A TCP port of 127.0.0.1 that nobody listens on now.
  public nonisolated static func freePort() -> Int {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    return withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { raw in
        guard bind(descriptor, raw, length) == 0, getsockname(descriptor, raw, &length) == 0 else { return 0 }
        return pointer.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { Int(UInt16(bigEndian: $0.pointee.sin_port)) }
      }
    }
  }
}

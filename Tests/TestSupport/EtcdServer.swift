import Glibc
public import Reactor

/// One etcd of Debian's package `etcd-server` on a free port of 127.0.0.1, with its data in a directory of its own.
/// It dies with the tests, however they end.
@LoopActor public final class EtcdServer {
  /// The same after every restart.
  public let port: Int
  private let peerPort: Int
  private let withV2: Bool
  private let directory = TemporaryDirectory()
  private var child: ChildProcess?

  /// Nothing runs yet.
  /// - Parameter withV2: whether it also speaks the interface of etcd 2.
  public init(withV2: Bool = false) throws {
    (port, peerPort) = (try freePort(), try freePort())
    self.withV2 = withV2
  }

  isolated deinit { child?.kill() }

  /// Starts it and returns when it answers; the first time with no data, later with what it had.
  /// - Parameter afresh: throws away what it had.
  public func start(afresh: Bool = false) async throws {
    if afresh {
      _ = try await ChildProcess.run("/bin/rm", arguments: ["-rf", "\(directory.path)/data"], deadline: .seconds(60))
    }
    let (client, peer) = ("http://127.0.0.1:\(port)", "http://127.0.0.1:\(peerPort)")
    let running = try ChildProcess.start(
      "/usr/bin/setpriv",
      arguments: [
        "--pdeathsig", "KILL", "/usr/bin/etcd", "--name", "one", "--data-dir", "\(directory.path)/data",
        "--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer,
        "--initial-advertise-peer-urls", peer, "--initial-cluster", "one=\(peer)", "--enable-v2=\(withV2)",
        "--unsafe-no-fsync", "--heartbeat-interval", "50", "--election-timeout", "500", "--logger", "zap",
      ], workingDirectory: directory.path, log: "\(directory.path)/out")
    child = running
    try await eventually("etcd answers on port \(port)", within: .seconds(120)) {
      if let status = running.status {
        let said = (try? Files.read("\(self.directory.path)/out", limit: 1 << 20)) ?? []
        throw ServerTrouble(
          description: "etcd ended at once (\(status)); is it installed? \(String(decoding: said, as: UTF8.self))")
      }
      return await self.isHealthy()
    }
  }

  private func isHealthy(within patience: Duration = .seconds(5)) async -> Bool {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/health")
    guard let answer = try? await HTTPClient.send(request, deadline: patience) else { return false }
    return answer.status == 200 && String(decoding: answer.body, as: UTF8.self).contains("\"true\"")
  }

  /// Stands still, with its connections open; returns when that has taken effect.
  public func pause() async throws {
    child?.signal(SIGSTOP)
    try await eventually("etcd is silent") { await !self.isHealthy(within: .milliseconds(200)) }
  }

  /// Goes on after ``pause()``.
  public func resume() { child?.signal(SIGCONT) }

  /// Ends at once, as a crash would.
  public func kill() async {
    child?.kill()
    _ = try? await child?.wait()
    child = nil
  }

  /// Runs etcd's own client with these arguments, in version 3 of its interface; what it prints.
  public func etcdctl(_ arguments: [String]) async throws -> String {
    try await control("3", ["--endpoints", "127.0.0.1:\(port)"] + arguments)
  }

  /// The same, in version 2 of its interface.
  public func etcdctlV2(_ arguments: [String]) async throws -> String {
    try await control("2", ["--endpoints", "http://127.0.0.1:\(port)"] + arguments)
  }

  private func control(_ version: String, _ arguments: [String]) async throws -> String {
    let result = try await ChildProcess.run(
      "/usr/bin/etcdctl", arguments: arguments, environment: ["ETCDCTL_API": version, "PATH": "/usr/bin:/bin"],
      deadline: .seconds(60))
    guard result.status == .exited(0) else {
      throw ServerTrouble(description: "etcdctl: \(String(decoding: result.errorOutput, as: UTF8.self))")
    }
    return String(decoding: result.output, as: UTF8.self)
  }
}

public import Reactor

/// Three ZooKeepers on loopback that elect a leader.
@LoopActor public final class ZooKeeperEnsemble {
  /// The servers, in the order of their numbers, which begin with 1.
  public let servers: [ZooKeeperServer]

  /// What a client connects to.
  public var connection: String { servers.map(\.connection).joined(separator: ",") }

  /// - Parameter tick: as for a single server; a member that is behind by five of them leaves the ensemble.
  public init(tick: Duration = .milliseconds(200)) throws {
    // Long sessions, as in production: what a test takes to start a server again must not end them.
    var lines = ["maxSessionTimeout=60000", "initLimit=25", "syncLimit=5", "quorumListenOnAllIPs=false"]
    for id in 1...3 { lines.append("server.\(id)=127.0.0.1:\(try freePort()):\(try freePort())") }
    servers = try (1...3).map { try ZooKeeperServer(tick: tick, member: ($0, lines)) }
    // Each on a host of its own, as libzookeeper sees it: it compares no ports, and would not leave a server that hangs
    // for another one of the same host.
    for (index, server) in servers.enumerated() { try server.move(to: "127.0.0.\(index + 1)") }
  }

  /// Starts those that do not run and returns when all serve.
  public func start() async throws {
    for server in servers where server.pid == 0 { try server.launch() }
    for server in servers { try await server.isServing() }
  }

  /// The server that leads; nil during an election.
  public func leader() async -> ZooKeeperServer? {
    for server in servers where server.pid != 0 {
      if await server.fourLetters("srvr", patience: .milliseconds(200)).contains("Mode: leader") { return server }
    }
    return nil
  }

  /// Ends all of them.
  public func kill() async {
    for server in servers { await server.kill() }
  }
}

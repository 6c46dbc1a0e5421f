import Glibc
public import Reactor

/// One broker of Debian's package `rabbitmq-server` on a free port of 127.0.0.1, with its files in a directory of its
/// own. It has a process namespace too, so that Erlang's port mapper, which it starts, ends with it.
@LoopActor public final class RabbitMQServer {
  /// Where it takes AMQP.
  public let port: Int
  private let directory = TemporaryDirectory()
  private var child: ChildProcess?

  /// Starts it and returns when it listens, some seconds later. Its only user is `guest`, password `guest`.
  public init() async throws {
    let (port, distribution, mapper) = (try freePort(), try freePort(), try freePort())
    self.port = port
    let path = directory.path
    for (name, text) in [
      ("rabbitmq.conf", "disk_free_limit.absolute = 1MB\nlog.console.level = error\n"), ("env.conf", ""),
    ] { try Files.write(Array(text.utf8), to: "\(path)/\(name)", mode: 0o600, sync: false) }
    let environment = [
      "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": path, "LANG": "C.UTF-8", "RABBITMQ_NODENAME": "test@localhost",
      "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1", "RABBITMQ_NODE_PORT": "\(port)",
      "RABBITMQ_DIST_PORT": "\(distribution)", "ERL_EPMD_PORT": "\(mapper)", "ERL_EPMD_ADDRESS": "127.0.0.1",
      "RABBITMQ_MNESIA_BASE": "\(path)/mnesia", "RABBITMQ_LOG_BASE": "\(path)/log", "RABBITMQ_LOGS": "-",
      "RABBITMQ_ENABLED_PLUGINS_FILE": "\(path)/plugins", "RABBITMQ_CONFIG_FILE": "\(path)/rabbitmq",
      "RABBITMQ_ADVANCED_CONFIG_FILE": "\(path)/advanced", "RABBITMQ_CONF_ENV_FILE": "\(path)/env.conf",
      "RABBITMQ_GENERATED_CONFIG_DIR": "\(path)/generated", "RABBITMQ_FEATURE_FLAGS_FILE": "\(path)/flags",
      "RABBITMQ_PID_FILE": "\(path)/pid",
      "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 -kernel inet_dist_use_interface {127,0,0,1}",
    ]
    let running = try ChildProcess.start(
      "/usr/bin/setpriv",
      arguments: [
        "--pdeathsig", "KILL", "/usr/bin/unshare", "--pid", "--mount-proc", "--fork", "--kill-child",
        "/usr/lib/rabbitmq/bin/rabbitmq-server",
      ], environment: environment, workingDirectory: path, log: "\(path)/out")
    child = running
    try await eventually("RabbitMQ listens on port \(port)", within: .seconds(120)) {
      if let status = running.status {
        let said = (try? Files.read("\(path)/out", limit: 1 << 20)) ?? []
        throw ServerTrouble(
          description: "RabbitMQ ended at once (\(status)); is it installed? \(String(decoding: said, as: UTF8.self))")
      }
      return (try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(5))) != nil
    }
  }

  isolated deinit { child?.kill() }

  /// Stands still, with its connections open: what a check sees of a broker that hangs.
  public func pause() { child?.signal(SIGSTOP) }

  /// Kills it, as a crash would, and waits for its end.
  public func kill() async {
    child?.kill()
    _ = try? await child?.wait()
  }
}

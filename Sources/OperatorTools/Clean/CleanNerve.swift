internal import AgentKit
internal import Configure
internal import Glibc
internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack
internal import YAMLConfig
internal import ZooKeeper

/// `clean_nerve [-s] [-t CLUSTER_TYPE] [--zk-tls FILE]`: removes orphans from every ensemble: nodes below `/smartstack/global/SERVICE` that hold nothing, belong to no
/// session and have nothing below them. They are no registrations, but synapse has to read each of them.
///
/// The environment may name another directory of topology files than `/nail/etc/zookeeper_discovery`: `ZK_TOPOLOGY_DIR`.
@LoopActor struct CleanNerve {
  private static let root = "/smartstack/global"

  /// How long an ensemble gets to answer.
  var connectLimit = Duration.seconds(15)
  let simulates: Bool
  let directory: String
  /// A file with `zk_tls`.
  let tlsFile: String?
  private let output: CommandOutput
  private let files = SourceFiles()

  private nonisolated static let syntax = CommandSyntax(
    name: "clean_nerve", abstract: "Remove orphaned nodes of services from every ZooKeeper ensemble.",
    options: [
      .init(long: "simulate", short: "s", help: "Print what would be removed; remove nothing."),
      .init(
        long: "cluster-type", short: "t", value: .text,
        help: "The kind of ZooKeeper ensemble. (default: infrastructure)"),
      .init(
        long: "zk-tls", value: .text,
        help: "A file with zk_tls, such as nerve.conf.json. (default: no TLS)"),
    ])

  nonisolated static let command = Command(syntax.name, summary: syntax.abstract) { words in
    try await CleanNerve(words, environment: ProcessEnvironment.current, output: StandardOutput.write).run()
  }

  init(_ words: [String], environment: [String: String], output: @escaping CommandOutput) throws(CommandUsage) {
    let options = try CleanNerve.syntax.parse(words)
    if !options.arguments.isEmpty {
      throw .wrong("unrecognized arguments: \(options.arguments.joined(separator: " "))")
    }
    self.output = output
    simulates = options["simulate"] != nil
    tlsFile = options["zk-tls"]
    directory =
      (environment["ZK_TOPOLOGY_DIR"] ?? "/nail/etc/zookeeper_discovery") + "/"
      + (options["cluster-type"] ?? "infrastructure")
  }

  /// - Returns: the exit status: 0 when every ensemble was gone through, else 1.
  func run() async -> Int32 {
    if simulates { say("INFO", sentence: "Running in simulation mode") }
    let (ensembles, tls): ([String], [ZooKeeperTLS])
    do {
      (ensembles, tls) = (try locations(), try files.zooKeeperTLS(tlsFile))
    } catch {
      say("ERROR", sentence: "\(error)")
      return 1
    }
    var status: Int32 = 0
    for location in ensembles {
      say("INFO", sentence: "Processing \(location)")
      do {
        if try await !clean(location, tls: tls) { status = 1 }
      } catch {
        say("ERROR", sentence: "\(location): \(error)")
        status = 1
      }
    }
    return status
  }

  /// The topology files' names, but for links such as `local.yaml`: each is one of the others.
  private func locations() throws -> [String] {
    let names = try Files.list(directory).filter { name in
      var status = stat()
      guard name.hasSuffix(".yaml"), lstat("\(directory)/\(name)", &status) == 0 else { return false }
      return status.st_mode & S_IFMT != S_IFLNK
    }
    guard !names.isEmpty else {
      throw ConfigError(
        file: directory, problem: "there is no topology file: LOCATION.yaml with a list of [host, port]")
    }
    return names.map { String($0.dropLast(".yaml".count)) }.sorted()
  }

  private func clean(_ location: String, tls: [ZooKeeperTLS]) async throws -> Bool {
    let ensemble = try ServerList(files.zooKeeperServers("\(directory)/\(location).yaml"))
    let client = ZooKeeperClient(
      ensemble: ensemble, tls: tls.options(for: ensemble),
      logger: Logger(label: "clean_nerve") { _ in SwiftLogNoOpLogHandler() })
    client.start()
    guard await client.connects(within: connectLimit) else {
      let reasons = await client.reasonsWithoutConnection()
      await client.close()
      say("WARNING", sentence: "Could not connect to zookeeper cluster for \(location): \(reasons)")
      return false
    }
    let outcome: Result<Bool, any Error>
    do { outcome = .success(try await clean(client)) } catch { outcome = .failure(error) }
    await client.close()
    return try outcome.get()
  }

  /// - Returns: whether all orphans could be removed.
  private func clean(_ client: ZooKeeperClient) async throws -> Bool {
    var (removed, isComplete) = (0, true)
    for service in try await client.children(CleanNerve.root)?.sorted() ?? [] {
      let path = "\(CleanNerve.root)/\(service)"
      for name in try await client.children(path)?.sorted() ?? [] where !CleanNerve.carriesData(name) {
        guard let (data, stat) = try await client.inspect("\(path)/\(name)") else { continue }
        // A node without an owner, data and children.
        guard data.isEmpty, !stat.isEphemeral, stat.children == 0 else { continue }
        switch try await remove("\(path)/\(name)", ifStill: stat, with: client) {
        case true?: removed += 1
        case false?: break
        case nil: isComplete = false
        }
      }
    }
    say("INFO", sentence: simulates ? "Would have removed \(removed) nodes" : "Removed \(removed) nodes")
    return isComplete
  }

  /// - Returns: whether it is gone by us, or would be; nil when it cannot be removed.
  private func remove(_ path: String, ifStill stat: NodeStat, with client: ZooKeeperClient) async throws -> Bool? {
    if simulates {
      say("INFO", sentence: "Would remove \(path)")
      return true
    }
    do {
      guard try await client.delete(path, ifStill: stat) else { return false }
      say("INFO", sentence: "Removing \(path)")
      return true
    } catch let error as ZooKeeperError where error.code == .noAuth {
      say("ERROR", sentence: "\(error)")
      return nil
    }
  }

  /// A name that is a registration by itself (`use_path_encoding`); such nodes are empty, and persistent ones belong to
  /// no session.
  private static func carriesData(_ name: String) -> Bool {
    do throws(OperatorError) {
      return try RegistrationCodec.decode(name: name) != nil
    } catch {
      return true
    }
  }

  private func say(_ level: String, sentence: String) { output("\(level) \(sentence)\n", STDERR_FILENO) }
}

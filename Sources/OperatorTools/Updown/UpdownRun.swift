internal import AgentKit
internal import Configure
internal import Glibc
internal import HAProxyRuntime
internal import Hacheck
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// `updown_service` on this host: its spool, its HAProxy, its services' configurations.
///
/// The environment may name others: `SOA_DIR`, `HACHECK_SPOOL_ROOT`, `HAPROXY_STATS_ADDRESS` (`HOST:PORT`).
@LoopActor struct UpdownRun {
  let arguments: UpdownArguments
  let environment: [String: String]
  let output: CommandOutput

  /// `updown_service`, for the table of commands.
  nonisolated static let command = {
    var command = Command(UpdownArguments.syntax.name, summary: UpdownArguments.syntax.abstract) { words in
      let arguments = try UpdownArguments(words)
      return await UpdownRun(arguments, environment: ProcessEnvironment.current, output: StandardOutput.write).run()
    }
    command.onWrongUsage = { _, problem in
      StandardOutput.say(UpdownArguments.complaint(problem))
      return 2
    }
    return command
  }()

  private static let pageDeadline = Duration.seconds(1)
  private static let serviceDeadline = Duration.seconds(10)

  init(_ arguments: UpdownArguments, environment: [String: String], output: @escaping CommandOutput) {
    self.arguments = arguments
    self.environment = environment
    self.output = output
  }

  /// - Returns: the exit status.
  func run() async -> Int32 {
    let facts: UpdownFacts
    do throws(ConfigError) {
      let path = environment["SOA_DIR"] ?? "/nail/etc/services"
      facts = try UpdownFacts(arguments, in: ServiceDirectory(path: path, files: SourceFiles()))
    } catch {
      output("updown_service: \(error)\n", STDERR_FILENO)
      return 1
    }
    guard let endpoint else {
      output(
        CommandUsage.complaint("HAPROXY_STATS_ADDRESS: expected HOST:PORT", of: "updown_service"), STDERR_FILENO)
      return 2
    }
    return await UpdownService(
      arguments: arguments, facts: facts, environment: serviceEnvironment(endpoint)
    ).run()
  }

  /// Where HAProxy's stats page is; by custom at the address of all services.
  private var endpoint: Endpoint? {
    let text = environment["HAPROXY_STATS_ADDRESS"] ?? "169.254.255.254:3212"
    return ServerPlace(text).map { .tcp(host: $0.host, port: $0.port) }
  }

  private func serviceEnvironment(_ endpoint: Endpoint) -> UpdownEnvironment {
    var addresses = Set((HostInfo.addresses ?? []).map(\.description))
    if let own = HostIdentity.look().address { addresses.insert(own) }
    let service = arguments.name
    return UpdownEnvironment(
      addresses: addresses,
      hacheck: { name, arguments in
        let outcome = await hacheck(name, arguments: arguments)
        return (outcome.exitCode, String(outcome.errorOutput.split(separator: "\n").last ?? ""))
      },
      isDrained: { await isDrained(port: $0) },
      page: { try await StatsPage.ask(endpoint, scope: service, deadline: UpdownRun.pageDeadline) },
      askService: { await UpdownRun.ask(port: $0, target: $1) },
      clock: .system,
      sleep: { try? await LoopClock.system.sleep(for: $0) },
      output: output)
  }

  private func hacheck(_ name: String, arguments: [String]) async -> DowntimeCommand.Outcome {
    let root = environment["HACHECK_SPOOL_ROOT"].map { ["--spool-root", $0] } ?? []
    return await DowntimeCommand.run(name: name, arguments: arguments + root, environment: environment)
  }

  /// Whether the active downtime is the instance's own: it names a port.
  private func isDrained(port: Int) async -> Bool {
    let outcome = await hacheck("hastatus", arguments: [arguments.name, "-P", String(port), "--json"])
    return JSONValue(outcome.output.utf8)?.array?.first?["mark"]?["port"]?.int == port
  }

  private static func ask(port: Int, target: String) async -> String? {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: target)
    do {
      let response = try await HTTPClient.send(request, deadline: serviceDeadline)
      return response.status < 400 ? nil : "HTTP \(response.status) \(response.reason)"
    } catch {
      return "\(error)"
    }
  }
}

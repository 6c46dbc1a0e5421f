internal import AgentKit
internal import Configure
internal import Glibc
internal import HAProxyRuntime
internal import Hacheck
internal import Reactor
internal import SmartStack
internal import YAMLConfig

extension UpdownService {
  /// `updown_service`, for the table of commands.
  nonisolated static let command = {
    var command = Command(UpdownArguments.syntax.name, summary: UpdownArguments.syntax.abstract) { words in
      let arguments = try UpdownArguments(words)
      return await run(arguments, environment: ProcessEnvironment.current, output: StandardOutput.write)
    }
    command.onWrongUsage = { _, problem in
      StandardOutput.say(UpdownArguments.complaint(problem))
      return 2
    }
    return command
  }()

  /// Runs `updown_service` on this host: its spool, its HAProxy, its services' configurations.
  /// - Parameter environment: may name others: `SOA_DIR`, `HACHECK_SPOOL_ROOT`, `HAPROXY_STATS_ADDRESS` (`HOST:PORT`).
  /// - Returns: the exit status.
  private static func run(
    _ arguments: UpdownArguments, environment: [String: String], output: @escaping CommandOutput
  ) async -> Int32 {
    let facts: UpdownFacts
    do throws(ConfigError) {
      let path = environment["SOA_DIR"] ?? "/nail/etc/services"
      facts = try UpdownFacts(arguments, in: ServiceDirectory(path: path, files: SourceFiles()))
    } catch {
      output("updown_service: \(error)\n", STDERR_FILENO)
      return 1
    }
    // By custom HAProxy's stats page is at the address of all services.
    guard let place = ServerPlace(environment["HAPROXY_STATS_ADDRESS"] ?? "169.254.255.254:3212") else {
      output(
        CommandUsage.complaint("HAPROXY_STATS_ADDRESS: expected HOST:PORT", of: "updown_service"), STDERR_FILENO)
      return 2
    }
    let page = Endpoint.tcp(host: place.host, port: place.port)
    var addresses = Set((HostInfo.addresses ?? []).map(\.description))
    if let own = HostIdentity.look().address { addresses.insert(own) }
    let root = environment["HACHECK_SPOOL_ROOT"].map { ["--spool-root", $0] } ?? []
    return await UpdownService(
      arguments: arguments, facts: facts, addresses: addresses,
      hacheck: { name, words in
        let outcome = await DowntimeCommand.run(name: name, arguments: words + root, environment: environment)
        return (outcome.exitCode, String(outcome.errorOutput.split(separator: "\n").last ?? ""))
      },
      isDrained: { port in
        let words = [arguments.name, "-P", String(port), "--json"] + root
        let outcome = await DowntimeCommand.run(name: "hastatus", arguments: words, environment: environment)
        return JSONValue(outcome.output.utf8)?.array?.first?["mark"]?["port"]?.int == port
      },
      page: { try await StatsPage.ask(page, scope: arguments.name, deadline: .seconds(1)) },
      askService: { port, target in
        let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: target)
        do {
          let response = try await HTTPClient.send(request, deadline: .seconds(10))
          return response.status < 400 ? nil : "HTTP \(response.status) \(response.reason)"
        } catch {
          return "\(error)"
        }
      },
      clock: .system,
      pause: { try? await LoopClock.system.sleep(for: $0) },
      output: output
    ).run()
  }
}

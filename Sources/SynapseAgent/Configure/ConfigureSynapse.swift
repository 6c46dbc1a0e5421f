internal import AgentRuntime
internal import Glibc
public import Reactor

/// `configure_synapse`: writes synapse's configuration from the services' smartstack.yaml files and this host's place.
@LoopActor public enum ConfigureSynapse {
  /// What the command line may be called by.
  public nonisolated static let names = ["configure_synapse", "configure"]

  /// One run, as a timer starts it.
  /// - Returns: the exit status: 0; 1 when nothing was changed; 3 when a service is not as its files say. Of a dry run:
  ///   0 nothing would change, 1 something would, 2 it cannot be said.
  public static func run(_ options: ConfigureOptions) async -> Int32 {
    await configured(options).perform().status
  }

  /// Stays, and runs when a file that was read changes; until SIGTERM or SIGINT. SIGHUP runs at once.
  /// - Returns: the exit status: 0, or 1 when files cannot be watched at all.
  public static func watch(_ options: ConfigureOptions) async -> Int32 {
    let run = configured(options)
    do {
      let loop = try ConfigureLoop(run)
      let process = AgentProcess(onReload: { loop.schedule() }, onStop: { loop.stop() })
      loop.onReady = { process.ready() }
      loop.schedule()
      await process.waitUntilStopped()
      return 0
    } catch {
      run.say("\(error)")
      return ConfigureStatus.failed
    }
  }

  private static func configured(_ options: ConfigureOptions) -> ConfigureRun {
    ConfigureRun(
      inputs: ConfigureInputs(environment: AgentProcess.environment, locations: options.locationDirectory),
      options: options,
      say: { write("configure_synapse: \($0)\n", to: STDERR_FILENO) },
      show: { write($0, to: STDOUT_FILENO) })
  }

  private static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno != EINTR { return }
      rest = rest.dropFirst(max(0, count))
    }
  }
}

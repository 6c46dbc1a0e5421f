internal import AgentKit
public import Reactor

/// `configure_synapse`: writes synapse's configuration from the services' smartstack.yaml files and this host's place.
@LoopActor public enum ConfigureSynapse {
  /// What the command line may be called by.
  public nonisolated static let names = ["configure_synapse", "configure"]

  /// One run, as a timer starts it.
  /// - Returns: the exit status: 0; 1 when nothing was changed; 3 when a service is not as its files say. Of a dry run:
  ///   0 nothing would change, 1 something would, 2 it cannot be said.
  public static func run(_ options: ConfigureSynapseOptions) async -> Int32 {
    await configured(options).perform().status
  }

  /// Stays, and runs when a file that was read changes; until SIGTERM or SIGINT. SIGHUP runs at once.
  public static func watch(_ options: ConfigureSynapseOptions) async {
    let loop = ConfigureLoop(configured(options))
    let process = AgentProcess(onReload: { loop.lookAgain() }, onStop: { loop.stop() })
    loop.onReady = { process.ready() }
    await loop.run()
  }

  private static func configured(_ options: ConfigureSynapseOptions) -> ConfigureRun {
    ConfigureRun(
      inputs: ConfigureInputs(environment: ProcessEnvironment.current, locations: options.locationDirectory),
      options: options, say: { StandardOutput.say("configure_synapse: \($0)\n") }, show: StandardOutput.show)
  }
}

internal import Reactor

/// configure_synapse that stays: it remembers from run to run what it has read.
@LoopActor final class ConfigureLoop {
  /// Called once, after the first run.
  var onReady: (@LoopActor () -> Void)?
  /// How many runs there were.
  private(set) var runs = 0
  /// The last one's exit status.
  private(set) var status: Int32?

  private let configuration: ConfigureRun
  private var memory: ConfigureMemory?
  private lazy var resident = ResidentRun(
    refresh: .seconds(configuration.options.refreshInterval), say: configuration.say
  ) { [weak self] in await self?.turn() ?? [] }

  init(_ run: ConfigureRun, memory: ConfigureMemory = ConfigureMemory()) {
    configuration = run
    self.memory = memory
  }

  /// Runs the loop until ``stop()``.
  func run() async { await resident.run() }

  /// Looks at everything now.
  func lookAgain() { resident.lookAgain() }

  /// Ends ``run()``, after the run under way.
  func stop() { resident.stop() }

  private func turn() async -> Set<String> {
    let outcome = await configuration.perform(memory)
    (memory, status) = (outcome.memory, outcome.status)
    runs += 1
    onReady?()
    onReady = nil
    // A file of megabytes was built, and the one in force read.
    ThisProcess.trimHeap()
    return outcome.paths
  }
}

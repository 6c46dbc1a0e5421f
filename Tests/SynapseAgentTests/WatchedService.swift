internal import AgentKit
internal import Reactor
internal import Registry
internal import SmartStack
internal import TestSupport
internal import YAMLConfig
internal import ZooKeeper

@testable internal import SynapseAgent

/// One watcher at work, made as the agent makes it, and what it has published.
@LoopActor final class WatchedService {
  let journal = Journal()
  let service: ServiceConfiguration
  private(set) var snapshots: [ServiceSnapshot] = []
  let readers: ZooKeeperReaders
  private var task: Task<Void, any Error>?

  /// - Parameters:
  ///   - text: the service's section, as YAML.
  ///   - clock: the watcher's; the registry's client has the machine's.
  ///   - known: what an earlier agent has read.
  init(
    _ text: String, statsd: StatsD? = nil, clock: LoopClock = .system, environment: [String: String] = [:],
    known: [UInt64: Backend] = [:]
  ) throws {
    var decoded = try WatchedService.decode(text, environment: environment)
    // A registry that a busy machine keeps waiting has had no outage.
    decoded.rules.settle = .zero
    service = decoded
    let metrics = Metrics()
    readers = ZooKeeperReaders(clock: .system, logger: journal.logger, metrics: metrics)
    let context = AgentContext(
      readers: readers, clock: clock, logger: journal.logger, metrics: metrics, statsd: statsd)
    let watcher = service.makeWatcher(context, known: known)
    task = Task { @LoopActor [weak self] in
      try await watcher.run { reading in
        self?.snapshots.append(
          ServiceSnapshot(service: "web", backends: reading.backends, generatorConfig: reading.generatorConfig))
      }
    }
  }

  nonisolated static func decode(_ text: String, environment: [String: String] = [:]) throws -> ServiceConfiguration {
    let root = try YAMLDocument(Array(text.utf8), file: "service.yaml").root
    return try ServiceDecoder(name: "web", section: ConfigSection(root), environment: environment).decode()[0]
  }

  /// The names of the servers last published; nil before anything was.
  var servers: [String]? { snapshots.last?.backends.map(\.serverName) }

  /// Ends the watcher and waits for it.
  func stop() async throws {
    task?.cancel()
    try await task?.value
    await readers.closeAll()
  }

  /// Waits until these servers are published.
  func publishes(_ servers: [String]) async throws {
    do {
      try await eventually("\(servers) are published") { self.servers == servers }
    } catch {
      throw ServerTrouble(description: "\(error); last: \(self.servers ?? ["nothing"])\n\(journal.text)")
    }
  }

  /// Waits until the log has a line.
  func logs(_ words: String) async throws {
    do { try await eventually("a line with '\(words)'") { self.journal.contains(words) } } catch {
      throw ServerTrouble(description: "\(error)\n\(journal.text)")
    }
  }
}

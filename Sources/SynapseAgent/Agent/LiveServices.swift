internal import AgentKit
internal import Logging
public import Reactor
internal import Registry
public import SmartStack
internal import ZooKeeper

/// One look at the registry, for commands.
@LoopActor public enum LiveServices {
  /// Watches every service until all have been heard of, or `configuration.firstDataDeadline` has passed.
  /// - Returns: the servers by service, and the services that were not heard of.
  public static func read(
    _ configuration: SynapseConfiguration
  ) async -> (servers: [String: [Backend]], silent: [String]) {
    let clock = LoopClock.system
    let logger = Logger(label: "synapse") { _ in SwiftLogNoOpLogHandler() }
    let readers = ZooKeeperReaders(tls: configuration.tls, clock: clock, logger: logger, metrics: Metrics())
    let context = AgentContext(readers: readers, clock: clock, logger: logger, metrics: Metrics(), statsd: nil)
    let complete = OneShotEvent<Void>()
    var servers: [String: [Backend]] = [:]
    var tasks: [Task<Void, any Error>] = []
    for service in configuration.services {
      let watcher = service.makeWatcher(context)
      tasks.append(
        Task { @LoopActor in
          try await watcher.run { reading in
            servers[service.name] = reading.backends
            if servers.count == configuration.services.count { complete.happen() }
          }
        })
    }
    if !configuration.services.isEmpty {
      _ = try? await withDeadline(after: configuration.firstDataDeadline, clock: clock) { try await complete.wait() }
    }
    for task in tasks { task.cancel() }
    await readers.closeAll()
    return (servers, configuration.services.map(\.name).filter { servers[$0] == nil })
  }
}

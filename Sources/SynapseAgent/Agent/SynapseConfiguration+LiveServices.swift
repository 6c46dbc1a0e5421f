internal import AgentKit
internal import Logging
public import Reactor
internal import Registry
public import SmartStack
internal import ZooKeeper

@LoopActor extension SynapseConfiguration {
  /// Looks at the registry once, for commands: watches every service until all have been heard of, or
  /// ``firstDataDeadline`` has passed.
  /// - Returns: the servers by service, and the services that were not heard of.
  public func liveServices() async -> (servers: [String: [Backend]], silent: [String]) {
    let clock = LoopClock.system
    let logger = Logger(label: "synapse") { _ in SwiftLogNoOpLogHandler() }
    let readers = ZooKeeperReaders(tls: tls, clock: clock, logger: logger, metrics: Metrics())
    let context = AgentContext(readers: readers, clock: clock, logger: logger, metrics: Metrics(), statsd: nil)
    let complete = OneShotEvent<Void>()
    var servers: [String: [Backend]] = [:]
    var tasks: [Task<Void, any Error>] = []
    for service in services {
      let watcher = service.makeWatcher(context)
      tasks.append(
        Task { @LoopActor in
          try await watcher.run { reading in
            servers[service.name] = reading.backends
            if servers.count == services.count { complete.happen() }
          }
        })
    }
    if !services.isEmpty {
      _ = try? await withDeadline(after: firstDataDeadline, clock: clock) { try await complete.wait() }
    }
    for task in tasks { task.cancel() }
    await readers.closeAll()
    return (servers, services.map(\.name).filter { servers[$0] == nil })
  }
}

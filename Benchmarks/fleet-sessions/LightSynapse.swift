internal import Glibc
internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack
internal import ZooKeeper

/// What readers know of services: the number of servers, and the sum of their weights.
struct Holding: Equatable {
  var (servers, weight) = (0, 0)
}

/// A synapse without HAProxy: one session, and a watcher for each service. It prints when it knows what is expected.
@LoopActor final class LightSynapse {
  private let number: Int
  private let settings: FleetSettings
  private let readers: ZooKeeperReaders
  private let metrics: Metrics
  private let logger: Logger
  private var known: [Int: Holding] = [:]
  private var total = Holding()
  private var expected: Holding?
  private var watching: [Task<Void, any Error>] = []

  init(_ number: Int, settings: FleetSettings, logger: Logger, metrics: Metrics) {
    (self.number, self.settings, self.logger, self.metrics) = (number, settings, logger, metrics)
    readers = ZooKeeperReaders(limits: settings.limits, logger: logger, metrics: metrics)
    for service in 0..<settings.services { follow(service) }
  }

  func follow(_ service: Int) {
    let environment = WatchEnvironment(
      service: "service-\(service)", readers: readers, clock: .system, logger: logger, metrics: metrics, settle: .zero,
      increment: { _, _ in }, makePolicy: { _, _ in { $0 } })
    var discovery = ZooKeeperDiscovery(ensemble: settings.ensemble, path: settings.directory(of: service))
    discovery.jitter = settings.jitter
    let watcher = discovery.makeWatcher(in: environment)
    watching.append(
      Task.immediate { @LoopActor in
        try await watcher.run { [weak self] in self?.deliver($0, of: service) }
      })
  }

  /// From now on the reader tells each time that it comes to know this.
  func expect(_ holding: Holding) {
    expected = holding
    if total == holding { tell() }
  }

  private func deliver(_ reading: RegistryReading, of service: Int) {
    let (before, old) = (total, known[service] ?? Holding())
    let new = Holding(
      servers: reading.backends.count, weight: reading.backends.reduce(0) { $0 + ($1.weight ?? 0) })
    known[service] = new
    total = Holding(
      servers: total.servers + new.servers - old.servers, weight: total.weight + new.weight - old.weight)
    if total == expected, total != before { tell() }
  }

  /// The time is that of CLOCK_MONOTONIC, in seconds.
  private func tell() {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    let seconds = Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    StandardOutput.show(
      "{\"reader\": \(number), \"servers\": \(total.servers), \"weight\": \(total.weight), \"at\": \(seconds)}\n")
  }
}

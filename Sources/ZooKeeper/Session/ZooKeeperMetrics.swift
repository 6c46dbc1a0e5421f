internal import SmartStack

/// The verbs, as metrics and errors name them.
enum Operation: String, CaseIterable, Sendable {
  case create, delete, set, read, list, exists, sync, watch
}

/// Metrics of one client, with the ensemble as a label.
struct ZooKeeperMetrics {
  let requests: [Operation: Counter]
  let watches: Gauge
  let watchEvents: Counter
  let reconnects: Counter
  let expiries: Counter
  let isConnected: Gauge
  let directoryReads: Counter
  let registrations: [String: Gauge]

  /// - Parameter metrics: nil counts into a registry that is not read.
  init(_ metrics: Metrics?, ensemble: String) {
    let metrics = metrics ?? Metrics()
    let labels = ["ensemble": ensemble]
    requests = Dictionary(
      uniqueKeysWithValues: Operation.allCases.map { operation in
        let all = labels.merging(["operation": operation.rawValue]) { $1 }
        let counter = metrics.counter(
          "smartstack_zookeeper_requests_total", labels: all, help: "Requests sent to ZooKeeper, by operation.")
        return (operation, counter)
      })
    registrations = Dictionary(
      uniqueKeysWithValues: ["pending", "registered", "failed"].map { state in
        let all = labels.merging(["state": state]) { $1 }
        let gauge = metrics.gauge(
          "smartstack_zookeeper_registrations", labels: all, help: "Nodes this agent wants to exist, by state.")
        return (state, gauge)
      })
    watches = metrics.gauge("smartstack_zookeeper_watches", labels: labels, help: "Watches set at the server.")
    watchEvents = metrics.counter(
      "smartstack_zookeeper_watch_events_total", labels: labels, help: "Watches that fired.")
    reconnects = metrics.counter(
      "smartstack_zookeeper_reconnects_total", labels: labels, help: "Connections after the first one of a session.")
    expiries = metrics.counter(
      "smartstack_zookeeper_session_expiries_total", labels: labels, help: "Sessions that the ensemble gave up.")
    isConnected = metrics.gauge("smartstack_zookeeper_connected", labels: labels, help: "1 while connected.")
    directoryReads = metrics.counter(
      "smartstack_zookeeper_directory_reads_total", labels: labels, help: "Child lists read for directory watches.")
  }

  func moved(from old: NodeState?, to new: NodeState) {
    if let gauge = old.flatMap({ registrations[$0.label] }) { gauge.value -= 1 }
    if let gauge = registrations[new.label] { gauge.value += 1 }
  }
}

extension NodeState {
  /// The word metrics use.
  var label: String {
    switch self {
    case .pending: "pending"
    case .registered: "registered"
    case .failed: "failed"
    case .withdrawn: "withdrawn"
    }
  }
}

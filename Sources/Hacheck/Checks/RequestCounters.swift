internal import Reactor
internal import SmartStack

/// `hacheck_requests_total`, by route and code. Counting costs one lookup.
@LoopActor final class RequestCounters {
  private struct Key: Hashable {
    let route: UnsafePointer<UInt8>
    let status: Int
  }

  private let metrics: Metrics
  private var counters: [Key: Counter] = [:]

  init(_ metrics: Metrics) { self.metrics = metrics }

  /// Counts one answer. The route is a literal, so its address tells it from others.
  func count(_ route: StaticString, status: Int) {
    let key = Key(route: route.utf8Start, status: status)
    if let counter = counters[key] { return counter.increment() }
    let counter = metrics.counter(
      "hacheck_requests_total", labels: ["route": "\(route)", "code": "\(status)"], help: "Requests answered.")
    counter.increment()
    counters[key] = counter
  }
}

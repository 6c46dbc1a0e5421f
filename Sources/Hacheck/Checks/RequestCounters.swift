internal import Reactor
internal import SmartStack

/// `hacheck_requests_total`, by route and code. Counting costs one lookup.
@LoopActor final class RequestCounters {
  private let metrics: Metrics
  /// By the route's address and, in the lowest ten bits, the status.
  private var counters: [Int: Counter] = [:]

  init(_ metrics: Metrics) { self.metrics = metrics }

  /// Counts one answer. The route is a literal, so its address tells it from others.
  func count(_ route: StaticString, status: Int) {
    let key = Int(bitPattern: route.utf8Start) << 10 | status
    if let counter = counters[key] { return counter.increment() }
    let counter = metrics.counter(
      "hacheck_requests_total", labels: ["route": "\(route)", "code": "\(status)"], help: "Requests answered.")
    counter.increment()
    counters[key] = counter
  }
}

import Logging
import SmartStack
import TestSupport
import Testing

@Suite struct MetricsTests {
  @Test func metricsAreWrittenInPrometheusFormat() {
    let metrics = Metrics()
    metrics.counter("b_total", labels: ["result": "ok"], help: "What b did.").increment()
    metrics.counter("b_total", labels: ["result": "ok"], help: "What b did.").increment(by: 2)
    metrics.counter("b_total", labels: ["result": "a\"b\\c\nd", "host": "x"], help: "What b did.").increment(by: 0.5)
    metrics.gauge("a", help: "One \\ line\nor two.").value = -3
    metrics.gauge("odd", help: "Not every number is one.").value = .infinity
    let histogram = metrics.histogram("t_seconds", labels: ["k": "v"], buckets: [1, 0.5], help: "How long.")
    for value in [0.25, 0.5, 0.75, 2] { histogram.observe(value) }
    histogram.observe(.milliseconds(500))
    #expect(
      metrics.render() == #"""
        # HELP a One \\ line\nor two.
        # TYPE a gauge
        a -3
        # HELP b_total What b did.
        # TYPE b_total counter
        b_total{host="x",result="a\"b\\c\nd"} 0.5
        b_total{result="ok"} 3
        # HELP odd Not every number is one.
        # TYPE odd gauge
        odd +Inf
        # HELP t_seconds How long.
        # TYPE t_seconds histogram
        t_seconds_bucket{k="v",le="0.5"} 3
        t_seconds_bucket{k="v",le="1.0"} 4
        t_seconds_bucket{k="v",le="+Inf"} 5
        t_seconds_sum{k="v"} 4
        t_seconds_count{k="v"} 5

        """#)
  }

  @Test func aCounterNeverFalls() {
    let counter = Metrics().counter("x_total", help: "x")
    counter.increment(by: -5)
    counter.increment()
    #expect(counter.value == 1)
  }

  @Test func collectorsRunBeforeEachReading() {
    let metrics = Metrics()
    var readings = 0.0
    metrics.onRender { metrics in
      readings += 1
      metrics.gauge("readings", help: "So far.").value = readings
    }
    _ = metrics.render()
    #expect(metrics.render().hasSuffix("readings 2\n"))
  }
}

@Suite struct LogKeyTests {
  @Test func wordsAndValuesReachTheHandlerFromItsLevelOn() {
    let journal = Journal(from: .info)
    let logger = journal.logger
    logger.debug("not shown", with: [.service: "web"])
    logger.info("shown", with: [.service: "web", .port: 80])
    logger.notice("service is down", with: [.elapsed: Duration.seconds(1)])
    logger.warning("w", with: [:])
    logger.error("e", with: [.reason: "a b"])
    #expect(
      journal.lines == [
        "info shown port=80 service=web", "notice service is down elapsed=1.0 seconds", "warning w",
        "error e reason=a b",
      ])
  }

  @Test func keysAreLowerCaseWords() {
    for key in LogKey.allCases { #expect(key.rawValue.allSatisfy { $0.isLowercase || $0 == "_" }) }
  }
}

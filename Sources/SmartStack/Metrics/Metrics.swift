/// Counters, gauges and histograms of one agent, written in the Prometheus text format.
///
/// Not thread-safe: an agent keeps one registry on its event loop. Asking twice for the same name and
/// labels gives the same instrument.
public final class Metrics {
  private var families: [String: (help: String, type: String, series: [String: any Instrument])] = [:]
  private var collectors: [(Metrics) -> Void] = []

  /// Creates a registry without metrics.
  public init() {}

  /// Runs `collect` before each ``render()``, for values that are cheaper to read than to keep.
  public func onRender(_ collect: @escaping (Metrics) -> Void) { collectors.append(collect) }

  /// A value that only grows; its name ends in `_total`.
  public func counter(_ name: String, labels: [String: String] = [:], help: String) -> Counter {
    instrument(name, labels: labels, help: help, type: "counter") { Counter() }
  }

  /// A value that goes up and down.
  public func gauge(_ name: String, labels: [String: String] = [:], help: String) -> Gauge {
    instrument(name, labels: labels, help: help, type: "gauge") { Gauge() }
  }

  /// A distribution, in the unit its name ends with (`_seconds`).
  public func histogram(
    _ name: String, labels: [String: String] = [:], buckets: [Double] = Histogram.latencies, help: String
  ) -> Histogram {
    instrument(name, labels: labels, help: help, type: "histogram") { Histogram(buckets: buckets) }
  }

  private func instrument<Kind: Instrument>(
    _ name: String, labels: [String: String], help: String, type: String, make: () -> Kind
  ) -> Kind {
    let key = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Metrics.escaped($0.value))\"" }
      .joined(separator: ",")
    if let known = families[name]?.series[key] as? Kind { return known }
    let made = make()
    families[name, default: (help: help, type: type, series: [:])].series[key] = made
    return made
  }

  /// Forgets all instruments of a name, for those that are made for each rendering.
  public func removeAll(_ name: String) { families[name] = nil }

  /// Everything, sorted by name and labels, in the Prometheus text format.
  public func render() -> String {
    for collect in collectors { collect(self) }
    var text = ""
    for (name, family) in families.sorted(by: { $0.key < $1.key }) {
      text += "# HELP \(name) \(Metrics.escaped(family.help, quotes: false))\n# TYPE \(name) \(family.type)\n"
      for (labels, instrument) in family.series.sorted(by: { $0.key < $1.key }) {
        instrument.write(name, labels: labels, into: &text)
      }
    }
    return text
  }

  private static func escaped(_ value: String, quotes: Bool = true) -> String {
    value.escaping { character in
      switch character {
      case "\\": "\\\\"
      case "\"" where quotes: "\\\""
      case "\n": "\\n"
      default: nil
      }
    }
  }
}

/// What a registry can write out.
protocol Instrument: AnyObject {
  func write(_ name: String, labels: String, into text: inout String)
}

private func sample(_ name: String, labels: String, value: Double) -> String {
  let number = shown(value)
  return labels.isEmpty ? "\(name) \(number)\n" : "\(name){\(labels)} \(number)\n"
}

private func shown(_ value: Double) -> String {
  if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
  if value.isNaN { return "NaN" }
  return value == value.rounded() && abs(value) < 1e15 ? String(Int64(value)) : String(value)
}

/// A value that only grows.
public final class Counter: Instrument {
  /// The count so far.
  public private(set) var value: Double = 0

  /// Adds `amount`, which must not be negative.
  public func increment(by amount: Double = 1) { value += max(0, amount) }

  /// Brings the counter up to a total that is kept elsewhere.
  public func raise(to total: Double) { increment(by: total - value) }

  func write(_ name: String, labels: String, into text: inout String) {
    text += sample(name, labels: labels, value: value)
  }
}

/// A value that goes up and down.
public final class Gauge: Instrument {
  /// The current value of the gauge.
  public var value: Double = 0

  func write(_ name: String, labels: String, into text: inout String) {
    text += sample(name, labels: labels, value: value)
  }
}

/// A distribution over fixed buckets.
public final class Histogram: Instrument {
  /// Upper bounds from half a millisecond to ten seconds.
  public static let latencies: [Double] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
  ]

  private let bounds: [Double]
  private var counts: [Int]
  private var sum: Double = 0
  private var total = 0

  init(buckets: [Double]) {
    bounds = buckets.sorted()
    counts = Array(repeating: 0, count: buckets.count)
  }

  /// Adds one value to the histogram.
  public func observe(_ value: Double) {
    sum += value
    total += 1
    if let index = bounds.firstIndex(where: { value <= $0 }) { counts[index] += 1 }
  }

  /// Adds one duration, in seconds.
  public func observe(_ duration: Duration) { observe(duration / .seconds(1)) }

  func write(_ name: String, labels: String, into text: inout String) {
    let prefix = labels.isEmpty ? "" : labels + ","
    var running = 0
    for (bound, count) in zip(bounds, counts) {
      running += count
      text += sample(name + "_bucket", labels: "\(prefix)le=\"\(bound)\"", value: Double(running))
    }
    text += sample(name + "_bucket", labels: "\(prefix)le=\"+Inf\"", value: Double(total))
    text += sample(name + "_sum", labels: labels, value: sum)
    text += sample(name + "_count", labels: labels, value: Double(total))
  }
}

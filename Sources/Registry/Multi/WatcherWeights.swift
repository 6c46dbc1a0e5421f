internal import YAMLConfig

/// A file of weights: a mapping of watchers' names to whole numbers that are not negative.
struct WatcherWeights: Sendable {
  /// In the file's order.
  private let weights: [(watcher: String, value: Int)]

  /// Why nothing can be picked.
  enum Problem: Error, Equatable, CustomStringConvertible {
    case noWeight
    case unknownWatcher(String)

    var description: String {
      switch self {
      case .noWeight: "all weights are 0"
      case .unknownWatcher(let name): "there is no watcher '\(name)'"
      }
    }
  }

  /// - Throws: `ConfigError` at the place that is wrong.
  init(_ bytes: [UInt8], file: String) throws(ConfigError) {
    let root = try YAMLDocument(bytes, file: file).root
    var weights: [(watcher: String, value: Int)] = []
    for entry in try root.entries() {
      weights.append((entry.name, try entry.value.int(in: 0...1_000_000_000)))
    }
    self.weights = weights
  }

  /// The watcher at a point between 0 and 1 (exclusive) of all weights laid end to end.
  func pick(at point: Double, of watchers: [String]) throws(Problem) -> String {
    let total = weights.reduce(0) { $0 + $1.value }
    var rest = point * Double(total)
    guard total > 0, let last = weights.last(where: { $0.value > 0 }) else { throw .noWeight }
    var picked = last.watcher
    for weight in weights {
      if rest < Double(weight.value) {
        picked = weight.watcher
        break
      }
      rest -= Double(weight.value)
    }
    guard watchers.contains(picked) else { throw .unknownWatcher(picked) }
    return picked
  }
}

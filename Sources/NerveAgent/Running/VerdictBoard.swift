internal import SmartStack

/// What all checks of one service, and the operator, say together.
///
/// The operator's word comes first: a drained service is down whatever its checks say, and `rise` and
/// `fall` do not apply to it. Otherwise one check that is down takes the service down, also while others
/// are still to answer for the first time; it is up when every check is. Without checks it is up.
struct VerdictBoard: Equatable, Sendable {
  private var histories: [CheckHistory]
  /// Whether an operator has marked the service down.
  var isDrained = false

  /// One history per check, in the order of the configuration.
  init(histories: [CheckHistory]) { self.histories = histories }

  /// What to report; nil as long as a check has not answered and none is down.
  var verdict: Verdict? {
    if isDrained { return .down }
    var waiting = false
    for history in histories {
      switch history.verdict {
      case .down: return .down
      case .up: continue
      case nil: waiting = true
      }
    }
    return waiting ? nil : .up
  }

  /// What the checks have seen, in their order.
  var memories: [CheckHistory.Memory] {
    get { histories.map(\.memory) }
    set { for (index, memory) in newValue.enumerated() { histories[index].memory = memory } }
  }

  /// The verdict of one check.
  func verdict(ofCheck index: Int) -> Verdict? { histories[index].verdict }

  /// Takes one result.
  /// - Returns: the check's own verdict if this result changed it.
  mutating func record(check index: Int, passed: Bool) -> Verdict? { histories[index].record(passed: passed) }

  /// Forgets what check `index` has seen: its next result counts at once.
  mutating func forget(check index: Int, rise: Int, fall: Int) {
    histories[index] = CheckHistory(rise: rise, fall: fall)
  }
}

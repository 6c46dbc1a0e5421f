/// Finds by halving which parts keep HAProxy from accepting a file, when its words do not lead to one.
///
/// A part is a line of `global` or `defaults`, an extra section, a service, or what a service adds to the shared
/// frontend. They are put in an order in which each stands behind those that it mentions; a file of the first parts of
/// that order is then refused from the first culprit on.
public struct UnitSearch: Sendable {
  /// The culprits found so far, and HAProxy's words when each was there.
  public private(set) var found: [(part: LineOrigin, message: String)] = []
  /// What the next file to be checked is to be without; nil: the search is over.
  public private(set) var next: Set<LineOrigin>?

  private enum Stage {
    /// Nothing at all is checked, to see that the search makes sense.
    case nothing
    case halving
    /// Everything but the culprits is checked.
    case whole
  }

  private let parts: [LineOrigin]
  private var stage = Stage.nothing
  /// As many parts as these are known to be accepted, and …
  private var good = 0
  /// … as many as these to be refused, with these words.
  private var bad: Int
  private var message: String

  /// - Parameter message: what HAProxy says of the whole file.
  public init(_ model: ProxyModel, message: String) {
    parts = model.parts
    (bad, self.message) = (parts.count, message)
    next = Set(parts)
  }

  /// Records what HAProxy says of a file without ``next``; nil: it accepts the file.
  public mutating func record(refusal: String?) {
    switch stage {
    case .nothing where refusal != nil:
      next = nil
      return
    case .nothing: stage = .halving
    case .halving:
      if let refusal { (bad, message) = (tested, refusal) } else { good = tested }
    case .whole:
      guard let refusal else {
        next = nil
        return
      }
      (bad, message, stage) = (parts.count, refusal, .halving)
    }
    if good + 1 < bad {
      next = Set(parts[tested...]).union(found.map(\.part))
    } else if good < bad {
      found.append((parts[good], message))
      good += 1
      stage = .whole
      next = Set(found.map(\.part))
    } else {
      next = nil
    }
  }

  private var tested: Int { (good + bad) / 2 }
}

public import SmartStack

/// One condition on a registration's labels.
public struct LabelFilter: Hashable, Sendable {
  /// How label and value are compared.
  public enum Condition: String, Hashable, Sendable, CaseIterable {
    case equals
    case notEquals = "not-equals"
  }

  /// The label's name.
  public var label: String
  /// The value, with its type: 1 is not "1"; nil is null, which is also what a registration without the label has.
  public var value: LabelValue?
  /// How they are compared.
  public var condition: Condition

  /// A filter; see the properties.
  public init(label: String, value: LabelValue?, condition: Condition = .equals) {
    self.label = label
    self.value = value
    self.condition = condition
  }

  /// Whether a registration with these labels passes.
  public func accepts(_ labels: Labels?) -> Bool {
    (LabelFilter.comparable(labels?[label]) == LabelFilter.comparable(value)) == (condition == .equals)
  }

  /// A label that is there and null is like one that is not there.
  private static func comparable(_ value: LabelValue?) -> LabelValue? { value == .json("null") ? nil : value }
}

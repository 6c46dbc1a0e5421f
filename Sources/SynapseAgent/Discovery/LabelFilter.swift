import SmartStack

/// One condition on a registration's labels.
public struct LabelFilter: Hashable, Sendable {
  /// How label and value are compared.
  public enum Condition: String, Hashable, Sendable, CaseIterable {
    case equals
    case notEquals = "not-equals"
  }

  /// The label's name.
  public var label: String
  /// The value as JSON text (`"r1"` with its quotes, `1`, `true`), so that 1 is not "1"; nil is null, which is
  /// also what a registration without the label has.
  public var value: String?
  /// How they are compared.
  public var condition: Condition

  /// A filter; see the properties.
  public init(label: String, value: String?, condition: Condition = .equals) {
    self.label = label
    self.value = value
    self.condition = condition
  }

  /// Whether a registration with these labels passes.
  public func accepts(_ labels: [String: String]?) -> Bool {
    (labels?[label] == value) == (condition == .equals)
  }
}

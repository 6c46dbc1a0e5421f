public import SmartStack
internal import YAMLConfig

/// One condition on a registration's labels.
public struct LabelFilter: Hashable, Sendable {
  /// How label and value are compared.
  enum Condition: String, Hashable, Sendable, CaseIterable {
    case equals
    case notEquals = "not-equals"
  }

  /// The name of the label.
  public var label: String
  /// The value, with its type: 1 is not "1"; nil is null, which is also what a registration without the label has.
  public var value: LabelValue?
  /// How they are compared.
  var condition = Condition.equals

  /// Whether a registration with these labels passes.
  public func accepts(_ labels: Labels?) -> Bool {
    (LabelFilter.comparable(labels?[label]) == LabelFilter.comparable(value)) == (condition == .equals)
  }

  /// A label that is there and null is like one that is not there.
  private static func comparable(_ value: LabelValue?) -> LabelValue? { value == .json("null") ? nil : value }
}

extension LabelFilter {
  static func list(in discovery: ConfigSection) throws(ConfigError) -> [LabelFilter] {
    var nodes: [YAMLNode] = []
    if let single = discovery.node("label_filter") { nodes.append(single) }
    if let several = discovery.node("label_filters") {
      if case .mapping = several.value { nodes.append(several) } else { nodes += try several.items() }
    }
    var filters: [LabelFilter] = []
    for node in nodes where !node.isNull {
      let filter = try discovery.adopt(node)
      filters.append(
        LabelFilter(
          label: try filter.string("label"), value: filter.node("value").map(LabelValue.init(configured:)),
          condition: try filter.choice("condition", of: Condition.self)))
    }
    return filters
  }
}

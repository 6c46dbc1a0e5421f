/// Typed reading; every error says what was expected and what stands there instead.
extension YAMLNode {
  /// An integer; a quoted one counts too, because old files and generated ones quote ports, and so does a
  /// float without fraction: 8080.0 is what some generators make of 8080.
  public func int(in range: ClosedRange<Int> = .min ... .max) throws(ConfigError) -> Int {
    guard case .scalar(let scalar) = value, let number = scalar.wholeNumber else {
      throw error("expected an integer, found \(summary)")
    }
    guard let value = Int(exactly: number), range.contains(value) else {
      throw error("\(number) is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return value
  }

  /// A finite number, whole or not; a quoted one counts too.
  public func double(
    in range: ClosedRange<Double> = -Double.greatestFiniteMagnitude...Double.greatestFiniteMagnitude
  ) throws(ConfigError) -> Double {
    guard case .scalar(let scalar) = value,
      let number = scalar.double ?? (scalar.kind == .text ? Double(scalar.text) : nil), number.isFinite
    else { throw error("expected a number, found \(summary)") }
    guard range.contains(number) else {
      throw error("\(scalar.text) is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return number
  }

  /// A time in seconds, whole or not, from zero to about 30 years.
  public func duration(in range: ClosedRange<Double> = 0...1e9) throws(ConfigError) -> Duration {
    let seconds = try double()
    guard range.contains(seconds) else {
      throw error("\(seconds) seconds is outside \(range.lowerBound)...\(range.upperBound)")
    }
    return .seconds(seconds)
  }

  /// A boolean as YAML writes it; the text `"true"` is none.
  public func bool() throws(ConfigError) -> Bool {
    guard case .scalar(let scalar) = value, let truth = scalar.bool else {
      throw error("expected true or false, found \(summary)")
    }
    return truth
  }

  /// The text of any scalar but null: a number's or a boolean's is as written.
  public func string() throws(ConfigError) -> String {
    guard case .scalar(let scalar) = value, scalar.kind != .null else {
      throw error("expected text, found \(summary)")
    }
    return scalar.text
  }

  /// The items of a list.
  public func items() throws(ConfigError) -> [YAMLNode] {
    guard case .sequence(let items) = value else { throw error("expected a list, found \(summary)") }
    return items
  }

  /// A list of texts; a single text is a list of one, null an empty list.
  public func strings() throws(ConfigError) -> [String] {
    switch value {
    case .scalar(let scalar): return scalar.kind == .null ? [] : [scalar.text]
    case .mapping: throw error("expected a list of texts, found a mapping")
    case .sequence(let items):
      var texts: [String] = []
      for item in items { texts.append(try item.string()) }
      return texts
    }
  }

  /// A mapping's keys and values in the file's order.
  public func entries() throws(ConfigError) -> [YAMLEntry] {
    guard case .mapping(let entries) = value else { throw error("expected a mapping, found \(summary)") }
    return entries
  }

  /// A mapping of texts; null values become empty texts.
  public func stringMap() throws(ConfigError) -> [(name: String, value: String)] {
    var pairs: [(name: String, value: String)] = []
    for entry in try entries() {
      pairs.append((entry.name, entry.value.isNull ? "" : try entry.value.string()))
    }
    return pairs
  }

  /// A mapping, to be read key by key.
  public func section() throws(ConfigError) -> ConfigSection { try ConfigSection(self) }
}

extension YAMLScalar {
  fileprivate var wholeNumber: Int128? {
    switch kind {
    case .int: YAMLScalar.integer(text)
    case .float: double.flatMap { Int128(exactly: $0) }
    case .text: Int128(text)
    case .null, .bool: nil
    }
  }
}

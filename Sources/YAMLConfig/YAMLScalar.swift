internal import SmartStack

/// One scalar: its text, and what that text means by the rules of YAML 1.1.
public struct YAMLScalar: Hashable, Sendable {
  /// What a scalar is taken for.
  public enum Kind: Hashable, Sendable {
    case text, null, bool, int, float
  }

  /// The text as written, without quotes and with escapes resolved.
  public let text: String
  /// The type that YAML gives the scalar.
  public let kind: Kind

  /// A scalar of a known kind.
  public init(text: String, kind: Kind) {
    self.text = text
    self.kind = kind
  }

  /// A plain (unquoted) scalar of YAML 1.1, as PyYAML resolves it and, but for rare forms, Ruby's Psych too:
  /// `yes` and `off` are booleans, `017` is octal, `1:30` is sexagesimal, `1e3` is text. Dates stay text.
  public init(plain text: String) {
    self.text = text
    kind = YAMLScalar.kind(of: text)
  }

  /// The boolean, if it is one.
  public var bool: Bool? { kind == .bool ? YAMLScalar.truth(of: text) : nil }

  /// The integer, if it is one and fits.
  public var int: Int? { kind == .int ? YAMLScalar.integer(text).flatMap { Int(exactly: $0) } : nil }

  /// The number, if it is an integer or a float; may be infinite or no number (`.inf`, `.nan`).
  public var double: Double? {
    switch kind {
    case .int: YAMLScalar.integer(text).map { Double($0) } ?? YAMLScalar.float(text)
    case .float: YAMLScalar.float(text)
    case .text, .null, .bool: nil
    }
  }

  /// The scalar as words of an error.
  public var summary: String {
    switch kind {
    case .null: "null"
    case .bool: "the boolean \(text)"
    case .int, .float: "the number \(text)"
    case .text: text.isEmpty ? "an empty text" : "the text \(JSONText.quoted(String(text.prefix(60))))"
    }
  }

  /// The scalar as JSON; numbers in decimal, `.inf` and `.nan` (which JSON lacks) as text.
  public var json: String {
    switch kind {
    case .null: "null"
    case .bool: YAMLScalar.truth(of: text) == true ? "true" : "false"
    case .int: YAMLScalar.decimal(text) ?? JSONText.quoted(text)
    case .float: YAMLScalar.float(text).flatMap(JSONText.number) ?? JSONText.quoted(text)
    case .text: JSONText.quoted(text)
    }
  }
}

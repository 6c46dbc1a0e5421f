public import SmartStack

/// A document: its top value and what was odd about it.
///
/// YAML 1.1 as PyYAML reads it. Ruby's Psych agrees but for rare forms: it takes `1,000` for a number and
/// `tRuE` for a boolean, and lets a `<<` that stands behind a key override it; dates, which both turn into
/// objects, stay text here. JSON is read by a reader of its own, because libyaml refuses some of it (escaped
/// surrogate pairs, a line separator inside a key, names beyond 1,024 characters) and has no `1e3`. JSON with
/// U+0085, U+2028 or U+2029 as they are is read as YAML if it can be: there they are line breaks, and what
/// surrounds them inside quotes is folded.
public struct YAMLDocument: Sendable {
  /// The top value; null for an empty document.
  public let root: YAMLNode
  /// Of keys given twice, at the later place: the last one counts.
  public let repeatedKeys: [ConfigError]
  /// Where a second document starts, which is not read.
  public let extraDocument: ConfigError?
  /// What was read on over, but is worth a line in the log.
  public var warnings: [ConfigError] { repeatedKeys + [extraDocument].compactMap { $0 } }

  /// Reads `bytes`; `file` is how errors call it.
  public init(_ bytes: [UInt8], file: String, limits: YAMLLimits = .default) throws(ConfigError) {
    guard bytes.count <= limits.bytes else {
      throw ConfigError(file: file, problem: "\(bytes.count) bytes, and the limit is \(limits.bytes)")
    }
    var json = JSONReader(bytes, file: file, limits: limits)
    let jsonRoot = json?.readDocument()
    if let jsonRoot, let json, !bytes.holdsUnicodeLineBreak {
      (root, repeatedKeys, extraDocument) = (jsonRoot, json.mappings.repeatedKeys, nil)
      return
    }
    var composer = YAMLComposer(YAMLEventReader(bytes, file: file), limits: limits)
    do throws(ConfigError) {
      root = try composer.composeDocument()
      (repeatedKeys, extraDocument) = (composer.mappings.repeatedKeys, composer.extraDocument)
    } catch {
      guard let jsonRoot, let json else { throw error }
      (root, repeatedKeys, extraDocument) = (jsonRoot, json.mappings.repeatedKeys, nil)
    }
  }

  /// The top value of a text that must be JSON, with an object or a list at the top; nil for anything else.
  public static func json(
    _ bytes: [UInt8], file: String, dialect: JSONDialect = .rfc8259, limits: YAMLLimits = .default
  ) -> YAMLNode? {
    guard bytes.count <= limits.bytes else { return nil }
    var reader = JSONReader(bytes, file: file, dialect: dialect, limits: limits)
    return reader?.readDocument()
  }

  /// The top value alone.
  public static func parse(
    _ bytes: [UInt8], file: String, limits: YAMLLimits = .default
  ) throws(ConfigError) -> YAMLNode {
    try YAMLDocument(bytes, file: file, limits: limits).root
  }
}

extension ConfigError {
  /// Moves the problem from a value to its key.
  func at(_ key: YAMLNode) -> ConfigError {
    ConfigError(file: file, line: key.line, column: key.column, path: path, problem: problem)
  }
}

extension [UInt8] {
  /// Whether one of the line breaks of YAML 1.1 that JSON does not have stands in the text.
  fileprivate var holdsUnicodeLineBreak: Bool {
    var index = 0
    while let first = self[index...].firstIndex(where: { $0 == 0xC2 || $0 == 0xE2 }) {
      if first + 1 < count, self[first] == 0xC2, self[first + 1] == 0x85 { return true }
      if first + 2 < count, self[first + 1] == 0x80, self[first + 2] | 1 == 0xA9 { return true }
      index = first + 1
    }
    return false
  }
}

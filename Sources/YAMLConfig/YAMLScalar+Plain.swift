internal import SmartStack

/// The meaning of unquoted text in YAML 1.1 (https://yaml.org/type/), in the forms that PyYAML accepts.
extension YAMLScalar {
  static func kind(of text: String) -> Kind {
    guard let first = text.utf8.first else { return .null }
    switch first {
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."):
      let bytes = Array(text.utf8)
      if isInteger(bytes) { return .int }
      return isFloat(bytes) ? .float : .text
    case UInt8(ascii: "~"), UInt8(ascii: "n"), UInt8(ascii: "N"):
      if text == "~" || text == "null" || text == "Null" || text == "NULL" { return .null }
      return truth(of: text) == nil ? .text : .bool
    default:
      return truth(of: text) == nil ? .text : .bool
    }
  }

  static func truth(of text: String) -> Bool? {
    switch text {
    case "true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON": true
    case "false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF": false
    default: nil
    }
  }

  // MARK: Forms

  /// `0b101`, `017`, `0`, `1_000`, `0x1F`, `1:30:00`.
  static func isInteger(_ text: [UInt8]) -> Bool {
    let body = unsigned(text)
    guard let first = body.first, first.isDigit else { return false }
    let rest = body.dropFirst()
    guard first == UInt8(ascii: "0") else {
      let groups = body.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      return groups[0].allSatisfy(isDigitOrUnderscore) && groups.dropFirst().allSatisfy(isSexagesimal)
    }
    switch rest.first {
    case nil: return true
    case UInt8(ascii: "b"):
      return rest.count > 1 && rest.dropFirst().allSatisfy { (0x30...0x31).contains($0) || $0 == 0x5F }
    case UInt8(ascii: "x"): return rest.count > 1 && rest.dropFirst().allSatisfy { isHex($0) || $0 == 0x5F }
    default: return rest.allSatisfy { (0x30...0x37).contains($0) || $0 == 0x5F }
    }
  }

  /// `1.5`, `1.`, `.5`, `1.5e+3`, `1:30.5`, `.inf`, `.nan`.
  static func isFloat(_ text: [UInt8]) -> Bool {
    let body = unsigned(text)
    if body.elementsEqual(".nan".utf8) || body.elementsEqual(".NaN".utf8) || body.elementsEqual(".NAN".utf8) {
      return body.count == text.count
    }
    if [".inf", ".Inf", ".INF"].contains(where: { body.elementsEqual($0.utf8) }) { return true }
    guard let dot = body.firstIndex(of: UInt8(ascii: ".")) else { return false }
    let whole = body[..<dot]
    var fraction = body[(dot + 1)...]
    if whole.contains(UInt8(ascii: ":")) {
      let groups = whole.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      return groups[0].first?.isDigit == true && groups[0].allSatisfy(isDigitOrUnderscore)
        && groups.dropFirst().allSatisfy(isSexagesimal) && fraction.allSatisfy(isDigitOrUnderscore)
    }
    if let mark = fraction.firstIndex(where: { $0 == UInt8(ascii: "e") || $0 == UInt8(ascii: "E") }) {
      let exponent = fraction[(mark + 1)...]
      guard let sign = exponent.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"), exponent.count > 1,
        exponent.dropFirst().allSatisfy({ $0.isDigit })
      else { return false }
      fraction = fraction[..<mark]
    }
    guard fraction.allSatisfy(isDigitOrUnderscore) else { return false }
    if whole.isEmpty { return body.count == text.count && fraction.first?.isDigit == true }
    return whole[whole.startIndex].isDigit && whole.allSatisfy(isDigitOrUnderscore)
  }

  // MARK: Values

  /// The value of text that ``isInteger(_:)`` accepted, if 127 bits hold it.
  static func integer(_ text: String) -> Int128? {
    guard let magnitude = magnitude(text), let value = Int128(exactly: magnitude) else { return nil }
    return text.utf8.first == UInt8(ascii: "-") ? -value : value
  }

  /// Decimal digits; nil when 128 bits do not hold a number that is not written in decimal digits.
  static func decimal(_ text: String) -> String? {
    let sign = text.utf8.first == UInt8(ascii: "-") ? "-" : ""
    if let value = magnitude(text) { return value == 0 ? "0" : sign + String(value) }
    let body = digits(text)
    return body.first == "0" || body.contains(":") ? nil : sign + body
  }

  private static func magnitude(_ text: String) -> UInt128? {
    let digits = digits(text)
    if digits.hasPrefix("0b") { return UInt128(digits.dropFirst(2), radix: 2) }
    if digits.hasPrefix("0x") { return UInt128(digits.dropFirst(2), radix: 16) }
    if digits.count > 1, digits.hasPrefix("0") { return UInt128(digits, radix: 8) }
    return digits.contains(":") ? sexagesimal(digits) : UInt128(digits)
  }

  private static func digits(_ text: String) -> String {
    String(decoding: unsigned(Array(text.utf8)).filter { $0 != UInt8(ascii: "_") }, as: UTF8.self)
  }

  /// The value of text that ``isFloat(_:)`` or JSON accepted as a number.
  static func float(_ text: String) -> Double? {
    let sign: Double = text.utf8.first == UInt8(ascii: "-") ? -1 : 1
    let body = digits(text)
    switch body {
    case ".inf", ".Inf", ".INF": return sign * .infinity
    case ".nan", ".NaN", ".NAN": return .nan
    default: break
    }
    if body.contains(":") {
      let groups = body.split(separator: ":")
      let value = groups.reduce(0.0) { $0 * 60 + (Double(completed(String($1))) ?? 0) }
      return sign * value
    }
    return Double(completed(body)).map { sign * $0 }
  }

  /// `1.` and `.5` with the zero that Swift's number reader wants.
  private static func completed(_ digits: String) -> String {
    guard let dot = digits.firstIndex(of: ".") else { return digits }
    let after = digits.index(after: dot)
    let needsFraction = after == digits.endIndex || !digits[after].isNumber
    let whole = dot == digits.startIndex ? "0" : digits[..<dot]
    return whole + "." + (needsFraction ? "0" : "") + digits[after...]
  }

  private static func sexagesimal(_ digits: String) -> UInt128? {
    var value: UInt128 = 0
    for group in digits.split(separator: ":") {
      guard let number = UInt128(group) else { return nil }
      let (scaled, overflow) = value.multipliedReportingOverflow(by: 60)
      let (sum, carry) = scaled.addingReportingOverflow(number)
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  // MARK: Characters

  private static func unsigned(_ text: [UInt8]) -> ArraySlice<UInt8> {
    text.first == UInt8(ascii: "-") || text.first == UInt8(ascii: "+") ? text.dropFirst() : text[...]
  }

  private static func isDigitOrUnderscore(_ byte: UInt8) -> Bool { byte.isDigit || byte == 0x5F }

  private static func isHex(_ byte: UInt8) -> Bool { byte.isDigit || (0x61...0x66).contains(byte | 0x20) }

  /// Whether a group matches `[0-5]?[0-9]`.
  private static func isSexagesimal(_ group: ArraySlice<UInt8>) -> Bool {
    guard group.count == 1 || group.count == 2, group.allSatisfy({ $0.isDigit }) else { return false }
    return group.count == 1 || group[group.startIndex] <= UInt8(ascii: "5")
  }
}

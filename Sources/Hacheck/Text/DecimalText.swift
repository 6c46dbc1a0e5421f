internal import Glibc
internal import SmartStack

extension Double {
  /// As C's `%f` writes it: `1000.500000`.
  public var sixDecimals: String { withVaList([self]) { formatted($0, as: "%f") } }

  /// As C's `%.2f` writes it: `0.02`.
  var twoDecimals: String { withVaList([self]) { formatted($0, as: "%.2f") } }

  /// A plain decimal number; nil for anything else, also for `nan`, `inf` and hexadecimal.
  public init?(decimal text: some StringProtocol) {
    let trimmed = text.utf8.drop { $0 == 0x20 }
    let digits = Substring(decoding: trimmed, as: UTF8.self).reversed().drop { $0 == " " }.reversed()
    let plain = String(digits)
    let allowed = plain.utf8.allSatisfy { $0.isDigit || "+-.eE".utf8.contains($0) }
    guard allowed, let value = Double(plain), value.isFinite else { return nil }
    self = value
  }
}

extension Duration {
  var seconds: Double { self / .seconds(1) }
}

/// The longest `%f` of a Double has 309 digits, a point and six decimals.
private func formatted(_ values: CVaListPointer, as format: String) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: 352) { buffer in
    let count = vsnprintf(buffer.baseAddress, buffer.count, format, values)
    return String(decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

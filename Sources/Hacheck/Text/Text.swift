extension String {
  /// Whether two ASCII names are the same but for case.
  func equalsIgnoringCase(_ other: String) -> Bool {
    utf8.count == other.utf8.count && zip(utf8, other.utf8).allSatisfy { $0 == $1 || $0.lowered == $1.lowered }
  }
}

extension UInt8 {
  fileprivate var lowered: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}

extension Substring {
  /// Splits at the first `separator`; `after` is nil when there is none.
  package func cut(at separator: Character) -> (before: Substring, after: Substring?) {
    guard let index = firstIndex(of: separator) else { return (self, nil) }
    return (self[..<index], self[self.index(after: index)...])
  }

  /// Splits at the last `separator`; `after` is nil when there is none.
  func cut(atLast separator: Character) -> (before: Substring, after: Substring?) {
    guard let index = lastIndex(of: separator) else { return (self, nil) }
    return (self[..<index], self[self.index(after: index)...])
  }
}

extension ArraySlice<UInt8> {
  /// Where `pattern` first stands.
  func firstRange(of pattern: [UInt8]) -> Range<Int>? {
    guard !pattern.isEmpty, count >= pattern.count else { return nil }
    for start in startIndex...(endIndex - pattern.count) where self[start] == pattern[0] {
      if self[start..<start + pattern.count].elementsEqual(pattern) { return start..<start + pattern.count }
    }
    return nil
  }
}

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
  func firstRange(of pattern: [UInt8]) -> Range<Int>? {
    guard !pattern.isEmpty, count >= pattern.count else { return nil }
    for start in startIndex...(endIndex - pattern.count) where self[start] == pattern[0] {
      if self[start..<start + pattern.count].elementsEqual(pattern) { return start..<start + pattern.count }
    }
    return nil
  }
}

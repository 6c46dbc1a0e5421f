extension UInt8 {
  /// Whether it is one of `0` to `9` in ASCII.
  @inlinable public var isDigit: Bool { self &- 0x30 < 10 }

  /// Whether it is a letter or a digit in ASCII.
  @inlinable public var isLetterOrDigit: Bool { isDigit || (self | 0x20) &- 0x61 < 26 }

  /// A capital letter of ASCII as a small one; any other byte itself.
  @inlinable public var lowercasedASCII: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}

extension String {
  /// Whether two texts are the same but for the case of ASCII letters.
  public func equalsIgnoringASCIICase(_ other: String) -> Bool {
    utf8.count == other.utf8.count && zip(utf8, other.utf8).allSatisfy { $0.lowercasedASCII == $1.lowercasedASCII }
  }

  /// Whether the text is a header's name: a token as RFC 9110 § 5.6.2 has it.
  public var isHeaderName: Bool {
    !isEmpty && utf8.allSatisfy { $0.isLetterOrDigit || "!#$%&'*+-.^_`|~".utf8.contains($0) }
  }

  /// The text with every byte but letters, digits, `-._~` and those of `kept` as `%` and two capital hexadecimal digits
  /// (RFC 3986, section 2.1).
  public func percentEncoded(keeping kept: String = "") -> String {
    utf8.map { byte in
      let isPlain = byte.isLetterOrDigit || "-._~".utf8.contains(byte) || kept.utf8.contains(byte)
      return isPlain ? String(UnicodeScalar(byte)) : "%" + [byte].hexadecimal.uppercased()
    }.joined()
  }
}

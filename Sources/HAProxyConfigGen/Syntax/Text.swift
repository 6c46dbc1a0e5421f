extension UInt8 {
  var isDigit: Bool { (0x30...0x39).contains(self) }
}

extension String {
  /// Whether it has a byte that would end the line or is no text at all.
  var hasControlBytes: Bool { utf8.contains { $0 < 0x20 && $0 != 0x09 || $0 == 0x7F } }

  /// The words between blanks.
  var words: [String] { split { $0 == " " || $0 == "\t" }.map(String.init) }
}

internal import SmartStack

/// Texts in a query or in a form (`application/x-www-form-urlencoded`).
extension Collection<UInt8> {
  /// The bytes that these stand for: `+` is a blank, `%41` is `A`, and a `%` without two digits is itself.
  public var formDecoded: [UInt8] {
    let bytes = Array(self)
    var out: [UInt8] = []
    var index = 0
    while index < bytes.count {
      if bytes[index] == UInt8(ascii: "%"), index + 2 < bytes.count,
        let high = Character(Unicode.Scalar(bytes[index + 1])).hexDigitValue,
        let low = Character(Unicode.Scalar(bytes[index + 2])).hexDigitValue
      {
        out.append(UInt8(high << 4 | low))
        index += 3
      } else {
        out.append(bytes[index] == UInt8(ascii: "+") ? 0x20 : bytes[index])
        index += 1
      }
    }
    return out
  }
}

extension String {
  /// The text as a value in a query: letters, digits, `-`, `.`, `_` and `~` stand for themselves.
  public var formEncoded: String {
    utf8.map { byte in
      let character = Character(Unicode.Scalar(byte))
      let isPlain = byte < 0x80 && (character.isLetter || character.isNumber || "-._~".contains(character))
      return isPlain ? String(character) : "%" + [byte].hexadecimal
    }.joined()
  }
}

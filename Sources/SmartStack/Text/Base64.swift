/// Base64 (RFC 4648): writes either alphabet, reads both, and missing padding too.
public enum Base64 {
  private static let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
  private static let standard = Array((letters + "+/").utf8)
  private static let urlSafe = Array((letters + "-_").utf8)

  /// Padded text in the standard alphabet.
  public static func text(_ bytes: [UInt8]) -> String { text(bytes, in: standard) }

  /// Padded text in the alphabet for URLs.
  static func urlSafeText(_ bytes: [UInt8]) -> String { text(bytes, in: urlSafe) }

  private static func text(_ bytes: [UInt8], in alphabet: [UInt8]) -> String {
    var out: [UInt8] = []
    out.reserveCapacity((bytes.count + 2) / 3 * 4)
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let group = bytes[start..<min(start + 3, bytes.count)]
      let bits = group.reduce(0) { $0 << 8 | UInt32($1) } << (8 * (3 - UInt32(group.count)))
      for place in 0..<4 {
        out.append(place <= group.count ? alphabet[Int(bits >> (18 - 6 * UInt32(place)) & 63)] : UInt8(ascii: "="))
      }
    }
    return String(decoding: out, as: UTF8.self)
  }

  /// nil for anything but whole base64 text.
  public static func decode(_ text: [UInt8]) -> [UInt8]? {
    var digits = text[...]
    var padding = 0
    while padding < 2, digits.last == UInt8(ascii: "=") {
      digits = digits.dropLast()
      padding += 1
    }
    var out: [UInt8] = []
    out.reserveCapacity(text.count / 4 * 3)
    var bits: UInt32 = 0
    var count = 0
    for digit in digits {
      guard let value = value(of: digit) else { return nil }
      bits = bits << 6 | value
      count += 1
      guard count % 4 == 0 else { continue }
      for shift: UInt32 in [16, 8, 0] { out.append(UInt8(truncatingIfNeeded: bits >> shift)) }
    }
    switch count % 4 {
    case 0: return padding == 0 ? out : nil
    case 2 where padding != 1 && bits & 15 == 0: return out + [UInt8(truncatingIfNeeded: bits >> 4)]
    case 3 where padding != 2 && bits & 3 == 0:
      return out + [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)]
    default: return nil
    }
  }

  private static func value(of digit: UInt8) -> UInt32? {
    switch digit {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(digit - UInt8(ascii: "A"))
    case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(digit - UInt8(ascii: "a") + 26)
    case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(digit - UInt8(ascii: "0") + 52)
    case UInt8(ascii: "-"), UInt8(ascii: "+"): 62
    case UInt8(ascii: "_"), UInt8(ascii: "/"): 63
    default: nil
    }
  }
}

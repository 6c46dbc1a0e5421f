/// FNV-1a: the same text is the same name in every process, unlike `Hasher`.
enum StableHash {
  static func text(_ text: String) -> String { String(number(text), radix: 16) }

  /// A number from 0 up to 1, spread evenly over all texts.
  static func share(_ text: String) -> Double {
    // The last bytes of a text only reach the lower bits by themselves (splitmix64's last steps).
    var mixed = number(text)
    mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
    return Double((mixed ^ mixed >> 31) >> 11) / Double(1 << 53 as UInt64)
  }

  private static func number(_ text: String) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return hash
  }
}

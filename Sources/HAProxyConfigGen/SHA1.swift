/// SHA-1 of `bytes` in hexadecimal, for cookie values (FIPS 180-4). Nothing here relies on its strength.
func sha1Hex(_ bytes: some Collection<UInt8>) -> String {
  var message = Array(bytes)
  let bitCount = UInt64(message.count) * 8
  message.append(0x80)
  message += Array(repeating: 0, count: (120 - message.count % 64) % 64)
  for shift in stride(from: 56, through: 0, by: -8) { message.append(UInt8(truncatingIfNeeded: bitCount >> shift)) }
  var state: [UInt32] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0]
  for start in stride(from: 0, to: message.count, by: 64) { sha1Block(message[start..<start + 64], &state) }
  return state.map { word in
    let hex = String(word, radix: 16)
    return String(repeating: "0", count: 8 - hex.count) + hex
  }.joined()
}

private func sha1Block(_ block: ArraySlice<UInt8>, _ state: inout [UInt32]) {
  var schedule = [UInt32](repeating: 0, count: 80)
  for index in 0..<16 {
    let at = block.startIndex + index * 4
    schedule[index] = block[at..<at + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
  for index in 16..<80 {
    schedule[index] = (schedule[index - 3] ^ schedule[index - 8] ^ schedule[index - 14] ^ schedule[index - 16]).rotated(
      1)
  }
  var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
  for (index, word) in schedule.enumerated() {
    let (mix, constant): (UInt32, UInt32) =
      switch index {
      case 0..<20: (b & c | ~b & d, 0x5A82_7999)
      case 20..<40: (b ^ c ^ d, 0x6ED9_EBA1)
      case 40..<60: (b & c | b & d | c & d, 0x8F1B_BCDC)
      default: (b ^ c ^ d, 0xCA62_C1D6)
      }
    (a, b, c, d, e) = (a.rotated(5) &+ mix &+ e &+ constant &+ word, a, b.rotated(30), c, d)
  }
  for (index, value) in [a, b, c, d, e].enumerated() { state[index] &+= value }
}

extension UInt32 {
  fileprivate func rotated(_ count: UInt32) -> UInt32 { self << count | self >> (32 - count) }
}

internal import SmartStack

extension String {
  /// Whether it is an address or a host name, which HAProxy resolves when it loads its file.
  ///
  /// Also the gate for hosts from the registry: HAProxy gives `unix@`, `fd@`, `/path`, `*` and others a
  /// meaning of their own in the place of an address; none of them has the form of either.
  var isHost: Bool {
    guard !isEmpty, utf8.count <= 253 else { return false }
    return IPAddress(self) != nil || !utf8.contains(UInt8(ascii: ":")) && ServerText.isDNSName(self)
  }

  /// Whether it has `part` in it, byte by byte: for texts of thousands of servers.
  func has(_ part: StaticString) -> Bool {
    let part = UnsafeBufferPointer(start: part.utf8Start, count: part.utf8CodeUnitCount)
    return utf8.withContiguousStorageIfAvailable { bytes in
      guard let first = part.first, bytes.count >= part.count else { return false }
      return (0...bytes.count - part.count).contains { start in
        bytes[start] == first && bytes[start..<start + part.count].elementsEqual(part)
      }
    } ?? contains(String(decoding: part, as: UTF8.self))
  }

  /// The words between blanks.
  var words: [String] { split { $0 == " " || $0 == "\t" }.map(String.init) }
}

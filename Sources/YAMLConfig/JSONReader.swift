/// Reads JSON (RFC 8259) into the same tree as YAML. Gives up without a word on anything that is not
/// JSON or passes a limit: the YAML reader then reads the text, or says what is wrong with it.
struct JSONReader {
  private(set) var mappings = MappingBuilder()
  private let bytes: [UInt8]
  private let file: YAMLFile
  private let limits: YAMLLimits
  private var next = 0
  private var nodes = 0
  /// Line and column of `counted`, which only moves forward.
  private var line: Int32 = 1
  private var column: Int32 = 1
  private var counted = 0

  /// nil if the text does not start like JSON.
  init?(_ bytes: [UInt8], file: String, limits: YAMLLimits) {
    self.bytes = bytes
    self.file = YAMLFile(file)
    self.limits = limits
    skipBlanks()
    guard next < bytes.count, bytes[next] == UInt8(ascii: "{") || bytes[next] == UInt8(ascii: "[") else { return nil }
  }

  /// The document, or nil if it is not JSON.
  mutating func readDocument() -> YAMLNode? {
    guard let root = readValue(trail: nil, depth: 1) else { return nil }
    skipBlanks()
    return next == bytes.count ? root : nil
  }

  private mutating func readValue(trail: YAMLTrail?, depth: Int) -> YAMLNode? {
    skipBlanks()
    nodes += 1
    guard next < bytes.count, depth <= limits.depth, nodes <= limits.nodes else { return nil }
    let position = here()
    switch bytes[next] {
    case UInt8(ascii: "{"):
      return readObject(trail: trail, depth: depth).map { YAMLNode(.mapping($0), at: position, trail: trail) }
    case UInt8(ascii: "["):
      return readArray(trail: trail, depth: depth).map { YAMLNode(.sequence($0), at: position, trail: trail) }
    default:
      return readScalar().map { YAMLNode(.scalar($0), at: position, trail: trail) }
    }
  }

  private mutating func readObject(trail: YAMLTrail?, depth: Int) -> [YAMLEntry]? {
    next += 1
    var entries: [YAMLEntry] = []
    if take("}") { return entries }
    repeat {
      skipBlanks()
      let position = here()
      guard let name = readString(), take(":") else { return nil }
      nodes += 1
      let key = YAMLNode(.scalar(YAMLScalar(text: name, kind: .text)), at: position, trail: trail)
      guard let value = readValue(trail: YAMLTrail(trail, .key(name)), depth: depth + 1) else { return nil }
      entries.append(YAMLEntry(key: key, value: value))
    } while take(",")
    return take("}") ? mappings.build(entries) : nil
  }

  private mutating func readArray(trail: YAMLTrail?, depth: Int) -> [YAMLNode]? {
    next += 1
    var items: [YAMLNode] = []
    if take("]") { return items }
    repeat {
      guard let item = readValue(trail: YAMLTrail(trail, .index(items.count)), depth: depth + 1) else { return nil }
      items.append(item)
    } while take(",")
    return take("]") ? items : nil
  }

  private mutating func readScalar() -> YAMLScalar? {
    if bytes[next] == UInt8(ascii: "\"") { return readString().map { YAMLScalar(text: $0, kind: .text) } }
    let start = next
    while next < bytes.count, JSONReader.isWordByte(bytes[next]) { next += 1 }
    let word = bytes[start..<next]
    let text = String(decoding: word, as: UTF8.self)
    switch text {
    case "null": return YAMLScalar(text: text, kind: .null)
    case "true", "false": return YAMLScalar(text: text, kind: .bool)
    default: return JSONReader.numberKind(word).map { YAMLScalar(text: text, kind: $0) }
    }
  }

  // MARK: Strings

  private mutating func readString() -> String? {
    guard next < bytes.count, bytes[next] == UInt8(ascii: "\"") else { return nil }
    next += 1
    let start = next
    while next < bytes.count, bytes[next] != UInt8(ascii: "\""), bytes[next] != UInt8(ascii: "\\"), bytes[next] >= 0x20 {
      next += 1
    }
    guard next < bytes.count else { return nil }
    if bytes[next] == UInt8(ascii: "\"") {
      defer { next += 1 }
      return String(validating: bytes[start..<next], as: UTF8.self)
    }
    next = start
    return readEscapedString()
  }

  private mutating func readEscapedString() -> String? {
    var out: [UInt8] = []
    while next < bytes.count {
      let byte = bytes[next]
      next += 1
      switch byte {
      case UInt8(ascii: "\""): return String(validating: out, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let scalar = readEscape() else { return nil }
        out.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
      case 0..<0x20: return nil
      default: out.append(byte)
      }
    }
    return nil
  }

  private mutating func readEscape() -> Unicode.Scalar? {
    guard next < bytes.count else { return nil }
    let byte = bytes[next]
    next += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: return nil
    }
    guard let unit = readHex() else { return nil }
    guard (0xD800..<0xDC00).contains(unit) else { return Unicode.Scalar(unit) }
    guard next + 1 < bytes.count, bytes[next] == UInt8(ascii: "\\"), bytes[next + 1] == UInt8(ascii: "u") else { return nil }
    next += 2
    guard let low = readHex(), (0xDC00..<0xE000).contains(low) else { return nil }
    return Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
  }

  private mutating func readHex() -> UInt32? {
    guard next + 4 <= bytes.count else { return nil }
    var value: UInt32 = 0
    for byte in bytes[next..<next + 4] {
      guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue else { return nil }
      value = value << 4 | UInt32(digit)
    }
    next += 4
    return value
  }

  // MARK: Text

  private mutating func take(_ byte: Unicode.Scalar) -> Bool {
    skipBlanks()
    guard next < bytes.count, bytes[next] == UInt8(ascii: byte) else { return false }
    next += 1
    return true
  }

  private mutating func skipBlanks() {
    while next < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[next]) { next += 1 }
  }

  /// The position of `next`; counts on from the last one asked for.
  private mutating func here() -> YAMLPosition {
    while counted < next {
      let byte = bytes[counted]
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if byte & 0xC0 != 0x80 {
        column += 1
      }
      counted += 1
    }
    return YAMLPosition(file: file, line: line, column: column)
  }

  private static func isWordByte(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."): true
    default: false
    }
  }

  /// `-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?`
  private static func numberKind(_ word: ArraySlice<UInt8>) -> YAMLScalar.Kind? {
    var rest = word.first == UInt8(ascii: "-") ? word.dropFirst() : word
    let whole = rest.prefix(while: isDigit)
    guard let first = whole.first, first != UInt8(ascii: "0") || whole.count == 1 else { return nil }
    rest = rest.dropFirst(whole.count)
    if rest.isEmpty { return .int }
    if rest.first == UInt8(ascii: ".") {
      let fraction = rest.dropFirst().prefix(while: isDigit)
      if fraction.isEmpty { return nil }
      rest = rest.dropFirst(1 + fraction.count)
    }
    if let mark = rest.first, mark | 0x20 == UInt8(ascii: "e") {
      rest = rest.dropFirst()
      if rest.first == UInt8(ascii: "+") || rest.first == UInt8(ascii: "-") { rest = rest.dropFirst() }
      let exponent = rest.prefix(while: isDigit)
      if exponent.isEmpty { return nil }
      rest = rest.dropFirst(exponent.count)
    }
    return rest.isEmpty ? .float : nil
  }

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
}

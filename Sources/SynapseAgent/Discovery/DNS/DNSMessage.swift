/// The records that discovery asks for.
enum DNSRecordType: UInt16, CaseIterable, Sendable {
  case ipv4 = 1
  case ipv6 = 28
}

/// A question as it goes over the wire (RFC 1035, section 4.1).
struct DNSQuestion: Hashable, Sendable {
  /// Chosen at random; the answer carries it.
  let id: UInt16
  /// In lower case, without a final dot.
  let name: String
  let type: DNSRecordType

  /// nil for a name that cannot be asked for: an empty label, one of more than 63 bytes, or more than 253 together.
  init?(id: UInt16, name: String, type: DNSRecordType) {
    let name = name.hasSuffix(".") ? name.dropLast().lowercased() : name.lowercased()
    let labels = name.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    guard name.utf8.count <= 253, labels.allSatisfy({ (1...63).contains($0.count) }) else { return nil }
    self.id = id
    self.name = name
    self.type = type
  }

  /// One question, recursion desired.
  var bytes: [UInt8] {
    var out = bigEndian(id) + [0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0]
    for label in name.utf8.split(separator: UInt8(ascii: ".")) { out += [UInt8(label.count)] + Array(label) }
    return out + [0] + bigEndian(type.rawValue) + [0, 1]
  }

  private func bigEndian(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }
}

/// What a name server said to one question.
enum DNSReply: Equatable, Sendable {
  /// The name's addresses of the type that was asked for, in the server's order; possibly none.
  case addresses([String])
  case noSuchName
  /// The answer was too long for a datagram.
  case truncated
  /// The server cannot or will not answer, with its response code.
  case refused(code: Int)

  /// Reads an answer to `question`; nil for anything that is none.
  init?(_ bytes: [UInt8], to question: DNSQuestion) {
    var reader = DNSReader(bytes)
    guard let id = reader.readUInt16(), id == question.id, let flags = reader.readUInt16(), flags & 0x8000 != 0,
      let questions = reader.readUInt16(), let answers = reader.readUInt16(), reader.skip(4)
    else { return nil }
    let code = Int(flags & 0x000F)
    if questions == 1 {
      guard let name = reader.readName(), let type = reader.readUInt16(), reader.readUInt16() == 1,
        name == question.name, type == question.type.rawValue
      else { return nil }
    } else if questions != 0 || code == 0 {
      // Servers that understood nothing of a question may leave it out.
      return nil
    }
    if code == 3 {
      self = .noSuchName
    } else if code != 0 {
      self = .refused(code: code)
    } else if flags & 0x0200 != 0 {
      self = .truncated
    } else {
      guard let records = reader.readRecords(Int(answers)) else { return nil }
      self = .addresses(DNSReply.follow(question, records))
    }
  }

  /// The addresses of the name itself and of what it is an alias of.
  private static func follow(_ question: DNSQuestion, _ records: [DNSRecord]) -> [String] {
    var names: Set<String> = [question.name]
    // Aliases usually stand in order; as often as there are any, for those that do not.
    for _ in records {
      let before = names.count
      for record in records where names.contains(record.owner) {
        if case .alias(let target) = record.content { names.insert(target) }
      }
      if names.count == before { break }
    }
    return records.compactMap { record in
      guard names.contains(record.owner), case .address(let type, let text) = record.content, type == question.type
      else { return nil }
      return text
    }
  }
}

/// One answer record, as far as it matters here.
private struct DNSRecord {
  enum Content {
    case address(DNSRecordType, String)
    case alias(String)
    case other
  }

  let owner: String
  let content: Content
}

/// Reads a message from the network: every length in it is a stranger's.
private struct DNSReader {
  private let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  mutating func readUInt16() -> UInt16? {
    guard offset + 2 <= bytes.count else { return nil }
    defer { offset += 2 }
    return UInt16(bytes[offset]) << 8 | UInt16(bytes[offset + 1])
  }

  mutating func skip(_ count: Int) -> Bool {
    guard offset + count <= bytes.count else { return false }
    offset += count
    return true
  }

  /// A name in lower case, with its compression undone; a byte that is no plain character stands for itself.
  mutating func readName() -> String? {
    var name: [UInt8] = []
    var place = offset
    var hasJumped = false
    while true {
      guard place < bytes.count else { return nil }
      let length = Int(bytes[place])
      switch length {
      case 0:
        if !hasJumped { offset = place + 1 }
        return String(decoding: name, as: UTF8.self)
      case 1...63:
        guard place + 1 + length <= bytes.count, name.count + length < 255 else { return nil }
        if !name.isEmpty { name.append(UInt8(ascii: ".")) }
        name += bytes[(place + 1)...(place + length)].map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        place += 1 + length
      case 0xC0...:
        guard place + 1 < bytes.count else { return nil }
        let target = (length & 0x3F) << 8 | Int(bytes[place + 1])
        if !hasJumped { offset = place + 2 }
        hasJumped = true
        // Only backwards: so there is an end to it.
        guard target < place else { return nil }
        place = target
      default: return nil
      }
    }
  }

  mutating func readRecords(_ count: Int) -> [DNSRecord]? {
    var records: [DNSRecord] = []
    for _ in 0..<count {
      guard let owner = readName(), let type = readUInt16(), let family = readUInt16(), skip(4),
        let length = readUInt16().map(Int.init), offset + length <= bytes.count
      else { return nil }
      let end = offset + length
      records.append(DNSRecord(owner: owner, content: family == 1 ? readContent(type, length) : .other))
      offset = end
    }
    return records
  }

  private mutating func readContent(_ type: UInt16, _ length: Int) -> DNSRecord.Content {
    let data = bytes[offset..<(offset + length)]
    switch (type, length) {
    case (DNSRecordType.ipv4.rawValue, 4): return .address(.ipv4, data.map { String($0) }.joined(separator: "."))
    case (DNSRecordType.ipv6.rawValue, 16): return .address(.ipv6, DNSReader.ipv6Text(Array(data)))
    case (5, _): return readName().map { .alias($0) } ?? .other
    default: return .other
    }
  }

  /// RFC 5952: the longest run of at least two zero groups is left out.
  private static func ipv6Text(_ bytes: [UInt8]) -> String {
    let groups = (0..<8).map { UInt16(bytes[$0 * 2]) << 8 | UInt16(bytes[$0 * 2 + 1]) }
    var best = 0..<0
    var start = 0
    while start < 8 {
      var end = start
      while end < 8, groups[end] == 0 { end += 1 }
      if end - start > max(1, best.count) { best = start..<end }
      start = max(end, start + 1)
    }
    func text(_ part: ArraySlice<UInt16>) -> String {
      part.map { String($0, radix: 16) }.joined(separator: ":")
    }
    if best.isEmpty { return text(groups[...]) }
    return text(groups[..<best.lowerBound]) + "::" + text(groups[best.upperBound...])
  }
}

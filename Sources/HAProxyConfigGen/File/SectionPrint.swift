internal import SmartStack

/// A fingerprint of one section as HAProxy reads it: comments, blanks and the order of servers do not count.
struct SectionPrint: Hashable, Sendable {
  /// Fingerprints of one `server` line.
  struct Server: Hashable, Sendable {
    /// All but name, address, id, weight and `disabled`: what no command can change.
    var options: UInt64
    /// All words of the line.
    var whole: UInt64
  }

  /// The words of the section's first line.
  var header: String
  /// Its lines except `server` lines.
  var lines = StableHash()
  /// Its `server` lines by name.
  var servers: [String: Server] = [:]

  /// The sections of `text`, which may be a part of a file.
  static func read(_ text: String) -> [SectionPrint] {
    var reader = SectionReader(bytes: Array(text.utf8))
    return reader.sections()
  }

  /// The fingerprints of `server` lines.
  static func servers(_ lines: [String]) -> [Server] {
    var reader = SectionReader(bytes: [])
    return lines.map { reader.server($0) }
  }
}

/// Reads a file's bytes line by line; a whole file is read at each reload, so it makes no string per word.
private struct SectionReader {
  private var bytes: [UInt8]
  /// The words of the current line.
  private var words: [Range<Int>] = []

  private static let server = Array("server".utf8)
  private static let id = Array("id".utf8)
  private static let weight = Array("weight".utf8)
  private static let disabled = Array("disabled".utf8)

  init(bytes: [UInt8]) { self.bytes = bytes }

  mutating func sections() -> [SectionPrint] {
    var sections: [SectionPrint] = []
    var start = 0
    while start < bytes.count {
      let end = bytes[start...].firstIndex(of: 0x0A) ?? bytes.count
      split(start..<end)
      start = end + 1
      guard let first = words.first else { continue }
      // Most lines are servers and options; only a section's first line is worth a string.
      if !isWord(SectionReader.server, at: first), Directives.sectionStarters.contains(text(first)) {
        sections.append(SectionPrint(header: words.map(text).joined(separator: " ")))
      } else if !sections.isEmpty {
        add(to: &sections[sections.count - 1])
      }
    }
    return sections
  }

  mutating func server(_ line: String) -> SectionPrint.Server {
    bytes.removeAll(keepingCapacity: true)
    bytes += line.utf8
    split(0..<bytes.count)
    return server
  }

  private func add(to section: inout SectionPrint) {
    guard words.count >= 3, isWord(SectionReader.server, at: words[0]) else {
      for word in words { section.lines.add(word: bytes[word]) }
      section.lines.endLine()
      return
    }
    section.servers[text(words[1])] = server
  }

  /// The fingerprint of the current line, which is a server's.
  private var server: SectionPrint.Server {
    var options = StableHash()
    var whole = StableHash()
    var index = 2
    while index < words.count {
      let word = words[index]
      whole.add(word: bytes[word])
      if isWord(SectionReader.id, at: word) || isWord(SectionReader.weight, at: word) {
        index += 1
        if index < words.count { whole.add(word: bytes[words[index]]) }
      } else if index > 2, !isWord(SectionReader.disabled, at: word) {
        options.add(word: bytes[word])
      }
      index += 1
    }
    return SectionPrint.Server(options: options.value, whole: whole.value)
  }

  /// Finds the words between blanks, up to a comment.
  private mutating func split(_ line: Range<Int>) {
    words.removeAll(keepingCapacity: true)
    var start = line.lowerBound
    var quote: UInt8?
    var at = line.lowerBound
    while at < line.upperBound {
      let byte = bytes[at]
      if byte == UInt8(ascii: "#"), quote == nil { break }
      if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "'"), at + 1 < line.upperBound {
        at += 2
        continue
      }
      if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
      }
      if byte == 0x20 || byte == 0x09 || byte == 0x0D {
        if start < at { words.append(start..<at) }
        start = at + 1
      }
      at += 1
    }
    if start < at { words.append(start..<at) }
  }

  private func isWord(_ word: [UInt8], at range: Range<Int>) -> Bool {
    range.count == word.count && bytes[range].elementsEqual(word)
  }

  private func text(_ range: Range<Int>) -> String { String(decoding: bytes[range], as: UTF8.self) }
}

extension StableHash {
  /// Adds a word, which cannot run into the next one.
  mutating func add(word: some Sequence<UInt8>) {
    add(word)
    add(0x20)
  }

  mutating func endLine() { add(0x0A) }
}

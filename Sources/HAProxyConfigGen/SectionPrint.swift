/// A fingerprint of one section as HAProxy reads it: comments, blanks and the order of servers do not count.
struct SectionPrint: Hashable, Sendable {
  /// One `server` line.
  struct Server: Hashable, Sendable {
    /// All but name, id, weight and `disabled`: what no command can change.
    var options: UInt64
    /// All of it.
    var whole: UInt64
  }

  /// The words of the section's first line.
  var header: String
  /// Its lines except `server` lines.
  var lines = Fingerprint()
  /// Its `server` lines by name.
  var servers: [String: Server] = [:]

  /// The sections of `text`, which may be a part of a file.
  static func read(_ text: String) -> [SectionPrint] {
    var sections: [SectionPrint] = []
    for line in text.utf8.split(separator: UInt8(ascii: "\n")) {
      let words = words(of: line)
      guard let first = words.first else { continue }
      if Directives.sectionStarters.contains(String(first) ?? "") {
        sections.append(SectionPrint(header: words.map { String($0) ?? "" }.joined(separator: " ")))
      } else if !sections.isEmpty {
        sections[sections.count - 1].add(words)
      }
    }
    return sections
  }

  private mutating func add(_ words: [Substring.UTF8View]) {
    guard words.count >= 3, words[0].elementsEqual("server".utf8), let name = String(words[1]) else {
      for word in words { lines.add(word) }
      lines.endLine()
      return
    }
    var options = Fingerprint()
    var whole = Fingerprint()
    var index = 2
    while index < words.count {
      whole.add(words[index])
      if words[index].elementsEqual("id".utf8) || words[index].elementsEqual("weight".utf8) {
        index += 1
        if index < words.count { whole.add(words[index]) }
      } else if !words[index].elementsEqual("disabled".utf8) {
        options.add(words[index])
      }
      index += 1
    }
    servers[name] = Server(options: options.value, whole: whole.value)
  }

  /// Words between blanks up to a comment.
  private static func words(of line: Substring.UTF8View) -> [Substring.UTF8View] {
    if line.contains(UInt8(ascii: "#")) {
      let plain = (String(line) ?? "").splitAtComment.plain
      return plain[...].utf8.split { $0 == 0x20 || $0 == 0x09 }
    }
    return line.split { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }
  }
}

/// FNV-1a: fast, the same in every process, and enough to see that a text has changed.
struct Fingerprint: Hashable, Sendable {
  private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  mutating func add(_ word: some Sequence<UInt8>) {
    for byte in word { mix(byte) }
    mix(0x20)
  }

  mutating func endLine() { mix(0x0A) }

  private mutating func mix(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
}

/// The elements of an XML text, as far as Amazon's answers need it: no attributes, no name spaces, no entities but the five
/// of the language and characters by number.
extension EC2Page {
  /// Deeper nesting is refused.
  private static let maximumDepth = 64

  /// Calls `body` at the begin and the end of each element, with its path from the root and, at the end, its own text.
  /// - Returns: whether the text was well-formed, with one root.
  static func readElements(
    of bytes: [UInt8], each body: (_ isEnd: Bool, _ path: [String], _ text: String) -> Void
  ) -> Bool {
    var path: [String] = []
    var text: [UInt8] = []
    var hasRoot = false
    var rest = bytes[...]
    while let mark = rest.firstIndex(of: UInt8(ascii: "<")) {
      text += rest[..<mark]
      rest = rest[mark...]
      if let skipped = skipAside(rest) {
        guard let after = skipped else { return false }
        rest = after
        continue
      }
      guard let end = rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
      var tag = rest[rest.index(after: mark)..<end]
      rest = rest[rest.index(after: end)...]
      if tag.first == UInt8(ascii: "/") {
        guard path.last == name(tag.dropFirst()) else { return false }
        body(true, path, plain(text))
        path.removeLast()
      } else {
        let isEmpty = tag.last == UInt8(ascii: "/")
        if isEmpty { tag = tag.dropLast() }
        let element = name(tag)
        guard !element.isEmpty, path.count < maximumDepth, !(path.isEmpty && hasRoot) else { return false }
        hasRoot = true
        path.append(element)
        body(false, path, "")
        if isEmpty {
          body(true, path, "")
          path.removeLast()
        }
      }
      text = []
    }
    return hasRoot && path.isEmpty && rest.allSatisfy { $0 <= 0x20 }
  }

  /// Declarations and comments: nil when none begins here, `.some(nil)` when it does not end.
  private static func skipAside(_ rest: ArraySlice<UInt8>) -> ArraySlice<UInt8>?? {
    for (start, end) in [("<?", "?>"), ("<!--", "-->"), ("<!", ">")] where rest.starts(with: start.utf8) {
      var place = rest.startIndex + start.utf8.count
      while place < rest.endIndex {
        if rest[place...].starts(with: end.utf8) { return .some(rest[(place + end.utf8.count)...]) }
        place += 1
      }
      return .some(nil)
    }
    return nil
  }

  private static func name(_ tag: ArraySlice<UInt8>) -> String {
    String(decoding: tag.prefix { $0 > 0x20 }, as: UTF8.self)
  }

  private static func plain(_ bytes: [UInt8]) -> String {
    let text = String(decoding: bytes, as: UTF8.self)
    guard text.contains("&") else { return text }
    var out = ""
    var rest = text[...]
    while let mark = rest.firstIndex(of: "&") {
      out += rest[..<mark]
      rest = rest[rest.index(after: mark)...]
      guard let end = rest.firstIndex(of: ";"), let character = character(rest[..<end]) else {
        out += "&"
        continue
      }
      out.unicodeScalars.append(character)
      rest = rest[rest.index(after: end)...]
    }
    return out + rest
  }

  private static func character(_ entity: Substring) -> Unicode.Scalar? {
    switch entity {
    case "amp": "&"
    case "lt": "<"
    case "gt": ">"
    case "quot": "\""
    case "apos": "'"
    default:
      if entity.hasPrefix("#x") {
        UInt32(entity.dropFirst(2), radix: 16).flatMap(Unicode.Scalar.init)
      } else if entity.hasPrefix("#") {
        UInt32(entity.dropFirst()).flatMap(Unicode.Scalar.init)
      } else {
        nil
      }
    }
  }
}

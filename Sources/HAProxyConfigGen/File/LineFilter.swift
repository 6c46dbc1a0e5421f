internal import SmartStack

/// Judges the lines of one list and makes lines of the file from them.
struct LineFilter {
  private let keepsUnknown: Bool
  private let version: HAProxyVersion?
  private let skipped: SkippedParts
  private(set) var problems: [ConfigProblem] = []

  init(_ settings: GeneratorSettings, skipped: SkippedParts) {
    keepsUnknown = settings.keepsUnknownDirectives
    version = settings.version
    self.skipped = skipped
  }

  /// Lines that are written whatever they say, as long as they are lines and HAProxy has not refused them.
  mutating func verbatim(_ texts: [String], origin: (Int) -> LineOrigin) -> [ConfigLine] {
    var lines: [ConfigLine] = []
    for (index, text) in texts.enumerated() {
      for part in split(text) {
        let line = ConfigLine(text: part, origin: origin(index))
        if isWritable(line) { lines.append(line) }
      }
    }
    return lines
  }

  /// Lines of a frontend or backend.
  mutating func directives(_ texts: [String], in place: Directives.Place, origin: (Int) -> LineOrigin) -> [ConfigLine] {
    verbatim(texts, origin: origin).filter { line in
      let words = line.text.words
      switch Directives.place(of: words) {
      case .both: return true
      case place: return true
      case .unknown: return admitsUnknown(line, words: words)
      case .frontend, .backend:
        skip(line, because: "\(line.text.quoted) has no place in a \(place == .frontend ? "frontend" : "backend")")
        return false
      }
    }
  }

  /// Lines of `listen` that belong to `place`; those of both or neither are written in both.
  mutating func listen(_ texts: [String], in place: Directives.Place, origin: (Int) -> LineOrigin) -> [ConfigLine] {
    verbatim(texts, origin: origin).filter { line in
      let words = line.text.words
      let known = Directives.place(of: words)
      return known == place || known == .both || known == .unknown && admitsUnknown(line, words: words)
    }
  }

  private mutating func admitsUnknown(_ line: ConfigLine, words: [String]) -> Bool {
    if line.text.hasPrefix("#") { return true }
    if let first = words.first, Directives.sectionStarters.contains(first) {
      skip(line, because: "\(line.text.quoted) would start a section of its own")
      return false
    }
    if keepsUnknown {
      problems.append(
        ConfigProblem(
          .doubt, at: line.origin, message: "\(line.text.quoted) is not a directive that we know; it is kept"))
    } else {
      skip(line, because: "\(line.text.quoted) is not a directive that we know, and nothing checks the file")
    }
    return keepsUnknown
  }

  /// A line break in the configuration makes two lines, as it always did.
  private func split(_ text: String) -> [String] {
    text.split { $0 == "\n" || $0 == "\r\n" }.map { $0.trimmedBlanks }.filter { !$0.isEmpty }
  }

  private mutating func isWritable(_ line: ConfigLine) -> Bool {
    if line.text.hasControlBytes {
      skip(line, because: "\(line.text.quoted) has control characters")
      return false
    }
    if let message = skipped.message(line.origin, text: line.text) {
      skip(line, because: "HAProxy refuses \(line.text.quoted): \(message)")
      return false
    }
    guard let version, let message = DirectiveHistory.refusal(of: line.text.words, by: version), mayGo(line) else {
      return true
    }
    skip(line, because: "\(line.text.quoted) is skipped: \(message)")
    return false
  }

  /// Of the operator's own sections nothing is skipped that may protect something: those HAProxy itself refuses.
  private func mayGo(_ line: ConfigLine) -> Bool {
    switch line.origin {
    case .service, .server, .sharedFrontend: true
    case .fixed, .agent, .global, .defaults, .extra: Directives.isObsolete(line.text.words)
    }
  }

  private mutating func skip(_ line: ConfigLine, because message: String) {
    problems.append(ConfigProblem(.skipped, at: line.origin, message: message))
  }
}

internal import SmartStack

/// Judges the lines of one list and makes lines of the file from them.
struct LineFilter {
  private let keepsUnknown: Bool
  private let version: HAProxyVersion?
  private let skipped: SkippedParts
  private(set) var problems: [ConfigProblem] = []
  /// What is refused, and keeps requests away: without it nothing of its service may be served.
  private(set) var lostProtections: [ConfigProblem] = []
  /// Whether a line of a check was refused since ``withoutBrokenCheck(_:)``.
  private var hasLostCheck = false

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
        let line = translated(ConfigLine(text: part, origin: origin(index)))
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

  /// The lines of a section without those of a check that has lost one: what is left of it would be another check, and
  /// might fail where the whole one does not. Servers are then checked by connecting to them, which the whole check
  /// does too.
  mutating func withoutBrokenCheck(_ lines: [ConfigLine]) -> [ConfigLine] {
    guard hasLostCheck else { return lines }
    hasLostCheck = false
    return lines.filter { line in
      guard Directives.isCheck(line.text.words) else { return true }
      skip(
        line,
        because: "\(line.text.quoted) is skipped with the other line of its check, so that servers are only "
          + "checked by connecting to them")
      return false
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
    if !line.text.isOneLine {
      skip(line, because: "\(line.text.quoted) has control characters")
      return false
    }
    if let message = skipped.message(line.origin, text: line.text) {
      refuse(line, because: "HAProxy refuses \(line.text.quoted): \(message)")
      return false
    }
    guard let version, let message = Directives.refusal(of: line.text.words, by: version), mayGo(line) else {
      return true
    }
    refuse(line, because: "\(line.text.quoted) is skipped: \(message)")
    return false
  }

  private mutating func refuse(_ line: ConfigLine, because message: String) {
    let words = line.text.words
    if Directives.isCheck(words) { hasLostCheck = true }
    if Directives.isProtection(words) {
      lostProtections.append(
        ConfigProblem(
          .badService, at: line.origin,
          message: "\(message); what it protects is skipped, as nothing is served without this line"))
    } else {
      skip(line, because: message)
    }
  }

  /// The line in the words of the release that is to read it.
  private mutating func translated(_ line: ConfigLine) -> ConfigLine {
    guard let version, let text = Directives.translation(of: line.text, for: version) else { return line }
    problems.append(
      ConfigProblem(.doubt, at: line.origin, message: "\(line.text.quoted) is written as \(text.quoted)"))
    return ConfigLine(text: text, origin: line.origin)
  }

  /// Whether a line is skipped before HAProxy refuses it.
  private func mayGo(_ line: ConfigLine) -> Bool {
    let words = line.text.words
    return switch line.origin {
    case .service, .server: true
    case .global, .defaults, .sharedFrontend: !Directives.isProtection(words)
    case .fixed, .agent, .extra: Directives.isObsolete(words)
    }
  }

  private mutating func skip(_ line: ConfigLine, because message: String) {
    problems.append(ConfigProblem(.skipped, at: line.origin, message: message))
  }
}

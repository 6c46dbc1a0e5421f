internal import SmartStack

/// One section of the file, with its text ready.
struct Section: Sendable {
  /// The section's first line.
  let header: ConfigLine
  /// The lines below it, without those of servers that synapse manages.
  let lines: [ConfigLine]
  /// The servers that synapse manages, in the order of their lines.
  let servers: [WantedServer]
  /// The service whose servers these are.
  let service: String?
  /// All of it, with the blank line before it.
  let text: String
  /// What HAProxy has when it has loaded this section.
  let prints: [SectionPrint]

  /// - Parameter isSpaced: whether a blank line precedes it.
  init(
    _ header: ConfigLine, _ lines: [ConfigLine], servers: [WantedServer] = [], service: String? = nil,
    isSpaced: Bool = true
  ) {
    self.header = header
    self.lines = lines
    self.service = service
    let text = Section.text(header, lines, servers, isSpaced: isSpaced)
    self.text = text
    var prints = SectionPrint.read(text)
    if service != nil { prints[0].takeNames(of: servers) }
    self.prints = prints
    let options = prints.first?.servers ?? [:]
    self.servers = servers.map { server in
      var server = server
      server.print = options[server.name]?.options
      return server
    }
    foreignServers = service == nil ? nil : Section.foreign(prints, servers)
  }

  /// In memory of just its size: sections are many, and stay.
  private static func text(
    _ header: ConfigLine, _ lines: [ConfigLine], _ servers: [WantedServer], isSpaced: Bool
  ) -> String {
    let all = [header.text] + lines.map(\.text) + servers.map(\.line)
    var text = ""
    text.reserveCapacity(all.reduce(2) { $0 + $1.utf8.count + 2 })
    if isSpaced { text += "\n" }
    for (index, line) in all.enumerated() {
      text += index == 0 ? "" : "\n\t"
      text += line
    }
    text += "\n"
    return text
  }

  private static func foreign(
    _ prints: [SectionPrint], _ servers: [WantedServer]
  ) -> [String: SectionPrint.Server] {
    guard let all = prints.first?.servers, all.count != servers.count else { return [:] }
    let managed = Set(servers.map(\.name))
    return all.filter { !managed.contains($0.key) }
  }

  /// The print of a section whose servers synapse manages.
  var managed: SectionPrint? { service == nil ? nil : prints.first }

  /// The servers in such a section that synapse does not manage; nil for other sections.
  let foreignServers: [String: SectionPrint.Server]?

  /// How many lines its text has.
  var lineCount: Int { leadingLines + lines.count + servers.count }

  private var leadingLines: Int { text.first == "\n" ? 2 : 1 }

  /// Where line `offset` of its text (0 is the first) came from.
  func origin(_ offset: Int) -> LineOrigin? {
    let body = offset - leadingLines
    if body < 0 { return offset == leadingLines - 1 ? header.origin : .fixed }
    if body < lines.count { return lines[body].origin }
    guard let service, body - lines.count < servers.count else { return nil }
    return .server(service: service, name: servers[body - lines.count].name)
  }

  /// The line's text without indentation, as refusals of it are remembered.
  func content(_ offset: Int) -> String {
    let body = offset - leadingLines
    if body < 0 { return header.text }
    return body < lines.count ? lines[body].text : servers[body - lines.count].enabledLine
  }
}

/// Lines that HAProxy refused, by where they came from.
struct Refusals: Sendable {
  private struct Refusal: Sendable {
    var text: String
    var message: String
  }

  private var refused: [LineOrigin: Refusal] = [:]

  /// - Returns: whether this is news.
  mutating func add(_ origin: LineOrigin, text: String, message: String) -> Bool {
    if refused[origin]?.text == text { return false }
    refused[origin] = Refusal(text: text, message: message)
    return true
  }

  /// HAProxy's words, if it refused this very text.
  func message(_ origin: LineOrigin, text: String) -> String? {
    guard !refused.isEmpty, let refusal = refused[origin], refusal.text == text else { return nil }
    return refusal.message
  }

  /// HAProxy's words, if it refused the service as a whole.
  func message(service: String) -> String? { refused[.service(service, .backend, nil)]?.message }

  /// Gives a service another chance after its settings changed.
  mutating func forget(service: String) {
    refused = refused.filter { $0.key.service != service }
  }

  /// Forgets servers of a service that are not known any more.
  mutating func forget(service: String, butServers known: (String) -> Bool) {
    guard !refused.isEmpty else { return }
    refused = refused.filter {
      if case .server(service, let name) = $0.key { known(name) } else { true }
    }
  }
}

/// Judges the lines of one list and makes lines of the file from them.
struct LineFilter {
  var keepsUnknown: Bool
  let version: HAProxyVersion?
  var refusals: Refusals
  private(set) var problems: [ConfigProblem] = []

  init(_ settings: GeneratorSettings, refusals: Refusals) {
    keepsUnknown = settings.keepsUnknownDirectives
    version = settings.version
    self.refusals = refusals
  }

  /// Lines that are written whatever they say, as long as they are lines and HAProxy has not refused them.
  mutating func verbatim(_ texts: [String], _ origin: (Int) -> LineOrigin) -> [ConfigLine] {
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
  mutating func directives(_ texts: [String], in place: Directives.Place, _ origin: (Int) -> LineOrigin) -> [ConfigLine]
  {
    verbatim(texts, origin).filter { line in
      let words = line.text.words
      switch Directives.place(of: words) {
      case .both: return true
      case place: return true
      case .unknown: return admitsUnknown(line, words)
      case .frontend, .backend:
        leaveOut(line, "\(line.text.quoted) has no place in a \(place == .frontend ? "frontend" : "backend")")
        return false
      }
    }
  }

  /// Lines of `listen` that belong to `place`; those of both or neither are written in both.
  mutating func listen(_ texts: [String], in place: Directives.Place, _ origin: (Int) -> LineOrigin) -> [ConfigLine] {
    verbatim(texts, origin).filter { line in
      let words = line.text.words
      let known = Directives.place(of: words)
      return known == place || known == .both || known == .unknown && admitsUnknown(line, words)
    }
  }

  private mutating func admitsUnknown(_ line: ConfigLine, _ words: [String]) -> Bool {
    if line.text.hasPrefix("#") { return true }
    if let first = words.first, Directives.sectionStarters.contains(first) {
      leaveOut(line, "\(line.text.quoted) would start a section of its own")
      return false
    }
    if keepsUnknown {
      problems.append(
        ConfigProblem(.doubt, line.origin, "\(line.text.quoted) is no directive that we know; it is kept"))
    } else {
      leaveOut(line, "\(line.text.quoted) is no directive that we know, and nothing checks the file")
    }
    return keepsUnknown
  }

  /// A line break in the configuration makes two lines, as it always did.
  private func split(_ text: String) -> [String] {
    text.split { $0 == "\n" || $0 == "\r\n" }.map { $0.trimmedBlanks }.filter { !$0.isEmpty }
  }

  private mutating func isWritable(_ line: ConfigLine) -> Bool {
    if line.text.hasControlBytes {
      leaveOut(line, "\(line.text.quoted) has control characters")
      return false
    }
    if let message = refusals.message(line.origin, text: line.text) {
      leaveOut(line, "HAProxy refuses \(line.text.quoted): \(message)")
      return false
    }
    guard let version, let message = DirectiveHistory.refusal(of: line.text.words, by: version), mayGo(line) else {
      return true
    }
    leaveOut(line, "\(line.text.quoted) is left out: \(message)")
    return false
  }

  /// Of the operator's own sections nothing is left out that may protect something: those HAProxy itself refuses.
  private func mayGo(_ line: ConfigLine) -> Bool {
    switch line.origin {
    case .service, .server, .sharedFrontend: true
    case .fixed, .global, .defaults, .extra: Directives.isObsolete(line.text.words)
    }
  }

  private mutating func leaveOut(_ line: ConfigLine, _ message: String) {
    problems.append(ConfigProblem(.leftOut, line.origin, message))
  }
}

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
    _ header: ConfigLine, lines: [ConfigLine], servers: [WantedServer] = [], service: String? = nil,
    isSpaced: Bool = true
  ) {
    self.header = header
    self.lines = lines
    self.service = service
    let head = Section.text(of: [header.text] + lines.map(\.text), isSpaced: isSpaced)
    let more = servers.map(\.line)
    let size = more.reduce(head.utf8.count + 1) { $0 + $1.utf8.count + 2 }
    var text = ""
    text.reserveCapacity(size)
    text += head
    for line in more {
      text += "\n\t"
      text += line
    }
    text += "\n"
    self.text = text
    var prints = SectionPrint.read(head)
    foreignServers = service == nil ? nil : prints.first?.servers ?? [:]
    let own = SectionPrint.servers(more)
    for (server, print) in zip(servers, own) { prints[0].servers[server.name] = print }
    self.prints = prints
    self.servers = zip(servers, own).map { server, print in
      var server = server
      server.print = print.options
      return server
    }
  }

  private static func text(of lines: [String], isSpaced: Bool) -> String {
    (isSpaced ? "\n" : "") + lines.joined(separator: "\n\t")
  }

  /// The print of a section whose servers synapse manages.
  var managed: SectionPrint? { service == nil ? nil : prints.first }

  /// The servers among such a section's lines, which synapse does not manage; nil for other sections.
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

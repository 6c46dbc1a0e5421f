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
    let text = Section.text(header: header, lines: lines, servers: servers, isSpaced: isSpaced)
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
    foreignServers = service == nil ? nil : Section.foreignServers(in: prints, besides: servers)
  }

  /// In memory of just its size: sections are many, and stay.
  private static func text(
    header: ConfigLine, lines: [ConfigLine], servers: [WantedServer], isSpaced: Bool
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

  private static func foreignServers(
    in prints: [SectionPrint], besides servers: [WantedServer]
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

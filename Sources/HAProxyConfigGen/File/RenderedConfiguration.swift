public import SmartStack

/// A rendered file: its text, and for each line where it came from.
public struct RenderedConfiguration: Sendable {
  /// The text; ends with a newline.
  public let text: String
  /// All but the servers that synapse manages.
  public let outline: StableHash
  /// What the lines of those servers say, besides what is a command's to change, each with its section.
  private let serverForms: Set<String>
  /// Sections with the number of their first line.
  private let sections: [(first: Int, section: Section)]

  private static let comment = "# Written by synapse; changes made here are overwritten.\n"

  init(sections: [Section]) {
    var text = RenderedConfiguration.comment
    text.reserveCapacity(sections.reduce(text.utf8.count) { $0 + $1.text.utf8.count })
    var line = 2
    self.sections = sections.map { section in
      defer { line += section.lineCount }
      text += section.text
      return (line, section)
    }
    self.text = text
    outline = RenderedConfiguration.outline(of: sections)
    serverForms = RenderedConfiguration.serverForms(of: sections)
  }

  /// Whether HAProxy accepts this file if it accepts `other`: what is new are servers with known options and an address.
  public func isCovered(by other: RenderedConfiguration) -> Bool {
    outline == other.outline && serverForms.isSubset(of: other.serverForms)
  }

  private static func outline(of sections: [Section]) -> StableHash {
    var hash = StableHash()
    for section in sections {
      for print in section.prints {
        hash.add(word: print.header.utf8)
        hash.add(word: print.lines.hexadecimal.utf8)
      }
      for line in section.lines where line.text.words.first == "server" { hash.add(word: line.text.utf8) }
      // Lines that name servers are good only while these are there.
      let namesServers = section.lines.contains { $0.text.hasPrefix("use-server") || $0.text.contains("srv_") }
      if namesServers { for server in section.servers { hash.add(word: server.name.utf8) } }
    }
    return hash
  }

  private static func serverForms(of sections: [Section]) -> Set<String> {
    var forms: Set<String> = []
    for section in sections {
      var last: String?
      for server in section.servers {
        let form = server.form
        if form != last { forms.insert("\(section.header.text)\n\(form)") }
        last = form
      }
    }
    return forms
  }

  /// Where line `number` (1 is the first) came from; nil past the end.
  public func origin(ofLine number: Int) -> LineOrigin? {
    if number == 1 { return .fixed }
    guard let (first, section) = section(number) else { return nil }
    return section.origin(number - first)
  }

  /// The text of line `number` as refusals of it are remembered.
  public func content(ofLine number: Int) -> String? {
    guard let (first, section) = section(number), section.origin(number - first) != nil else { return nil }
    return section.content(number - first)
  }

  func sections(of proxy: String) -> [Section] {
    sections.lazy.map(\.section).filter { $0.header.text.words.dropFirst().first == proxy }
  }

  private func section(_ number: Int) -> (first: Int, section: Section)? {
    var (low, high) = (0, sections.count)
    while low < high {
      let middle = (low + high) / 2
      if sections[middle].first <= number { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? nil : sections[low - 1]
  }
}

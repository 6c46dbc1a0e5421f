internal import SmartStack

/// From HAProxy's complaints to what is skipped because of them.
extension ProxyModel {
  /// The line or unit that `alert` is about, and the text that was refused; nil if its words do not lead to one.
  func culprit(of alert: CheckAlert, in file: RenderedConfiguration) -> (LineOrigin, String)? {
    if let line = alert.line {
      guard let origin = file.origin(ofLine: line), let text = file.content(ofLine: line) else { return nil }
      return (origin, text)
    }
    guard let proxy = alert.proxy else { return nil }
    let owners = order.filter {
      services[$0]?.settings.service == proxy || services[$0]?.settings.backendSection == proxy
    }
    if let server = alert.server {
      for owner in owners {
        let wanted = services[owner]?.sections.backend?.servers.first { $0.name == server }
        if let wanted { return (.server(service: owner, name: server), wanted.enabledLine) }
      }
    }
    let sections = file.sections(of: proxy)
    if let line = sections.lazy.flatMap(\.lines).first(where: alert.isAboutMissingName(in:)) {
      return (line.origin, line.text)
    }
    return sections.first.map { ($0.header.origin, $0.header.text) }
  }

  /// What is skipped because HAProxy refuses a line; nil where nothing may be skipped.
  func refusal(
    of culprit: (origin: LineOrigin, text: String), message: String
  ) -> (part: LineOrigin, refusal: SkippedParts.Refusal)? {
    let (origin, text) = culprit
    let words = text.words
    let line = (origin, SkippedParts.Refusal(text: text, message: message, place: origin))
    let unit = (origin.unit, SkippedParts.Refusal(message: "\(text.quoted): \(message)", place: origin))
    switch origin {
    case .fixed, .agent: return nil
    case .global, .defaults: return Directives.isProtection(words) ? nil : line
    // Of the operator's own sections a line is only skipped alone if no release needs it.
    case .extra(_, let index): return index != nil && Directives.isObsolete(words) ? line : unit
    case .sharedFrontend(let index): return index == nil ? nil : Directives.isProtection(words) ? unit : line
    // A line that the generator adds cannot go alone.
    case .service(_, _, let index): return index == nil ? unit : line
    case .server(let service, let name):
      guard isServerOptionsOnly(name, of: service) else { return line }
      let place = LineOrigin.service(service, .serverOptions, nil)
      return (origin.unit, SkippedParts.Refusal(message: "\(text.quoted): \(message)", place: place))
    }
  }

  /// Whether the line of a server has nothing but its address and the service's `server_options`.
  private func isServerOptionsOnly(_ name: String, of service: String) -> Bool {
    guard let entry = memory.entry(name, of: service), services[service]?.settings.serverOptions?.isEmpty == false
    else {
      return false
    }
    return entry.backend.haproxyServerOptions == nil && IPAddress(entry.backend.host) != nil
  }

  /// The parts that ``UnitSearch`` tries, each behind those that it mentions.
  var parts: [LineOrigin] {
    var parts: [LineOrigin] = []
    for line in context.base.sections.prefix(2).flatMap(\.lines) where !Directives.isProtection(line.text.words) {
      parts.append(line.origin)
    }
    var nodes: [(part: LineOrigin, name: String?, lines: [ConfigLine])] = context.base.sections.dropFirst(2).map {
      ($0.header.origin, $0.header.text.words.dropFirst().first, $0.lines)
    }
    for name in order {
      guard let service = services[name], service.sections.backend != nil else { continue }
      let lines = (service.sections.frontend?.lines ?? []) + (service.sections.backend?.lines ?? [])
      nodes.append((.service(name, .section, nil), service.settings.backendSection, lines))
    }
    parts += ProxyModel.sorted(nodes)
    if context.base.sharedLines != nil { parts.append(.sharedFrontend(nil)) }
    parts += order.filter { services[$0]?.sections.shared.isEmpty == false }.map { .service($0, .sharedFrontend, nil) }
    return parts
  }

  private static func sorted(_ nodes: [(part: LineOrigin, name: String?, lines: [ConfigLine])]) -> [LineOrigin] {
    let indices = Dictionary(nodes.indices.compactMap { index in nodes[index].name.map { ($0, index) } }) { first, _ in
      first
    }
    var sorted: [LineOrigin] = []
    var seen: Set<Int> = []
    func visit(_ index: Int) {
      guard seen.insert(index).inserted else { return }
      for mentioned in nodes[index].lines.lazy.flatMap(\.text.names).compactMap({ indices[$0] }) { visit(mentioned) }
      sorted.append(nodes[index].part)
    }
    for index in nodes.indices { visit(index) }
    return sorted
  }

  /// The text of a line of `global` or `defaults`; empty for a unit.
  func lineText(of part: LineOrigin) -> String {
    context.base.sections.prefix(2).lazy.flatMap(\.lines).first { $0.origin == part }?.text ?? ""
  }
}

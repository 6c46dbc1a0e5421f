/// The sections that belong to no service: `global`, `defaults`, the extra sections, and the shared frontend's own lines.
struct BaseSections: Sendable {
  /// All but the shared frontend, in the file's order.
  private(set) var sections: [Section] = []
  /// Lines of the `defaults` section that services build on.
  private(set) var defaults: [ConfigLine] = []
  /// The shared frontend's own lines; nil: there is none.
  private(set) var sharedLines: [ConfigLine]?
  private(set) var problems: [ConfigProblem] = []

  /// The first line of the shared frontend.
  static let sharedFrontend = "frontend shared-frontend"

  init() {}

  init(_ settings: GeneratorSettings, skipped: SkippedParts) {
    var filter = LineFilter(settings, skipped: skipped)
    let global = filter.verbatim(settings.global) { .global($0) }
    defaults = filter.withoutBrokenCheck(filter.verbatim(settings.defaults) { .defaults($0) })
    sections = [
      Section(ConfigLine(text: "global", origin: .fixed), lines: global, isSpaced: true),
      Section(ConfigLine(text: "defaults", origin: .fixed), lines: defaults, isSpaced: false),
    ]
    for extra in settings.extraSections {
      let unit = LineOrigin.extra(title: extra.title, nil)
      if let problem = skipped.problem(of: unit) { problems.append(problem) } else { add(extra, filter: &filter) }
    }
    if let problem = skipped.problem(of: .sharedFrontend(nil)) {
      problems.append(problem)
    } else {
      sharedLines = settings.sharedFrontend.map { lines in
        filter.directives(lines, in: .frontend) { .sharedFrontend($0) }
      }
    }
    problems += filter.problems
  }

  /// The sections without some of their lines, or as a whole.
  func sections(without parts: Set<LineOrigin>) -> [Section] {
    if parts.isEmpty { return sections }
    return sections.enumerated().compactMap { index, section in
      if parts.contains(section.header.origin) { return nil }
      let lines = section.lines.filter { !parts.contains($0.origin) }
      return lines.count == section.lines.count ? section : Section(section.header, lines: lines, isSpaced: index != 1)
    }
  }

  private mutating func add(_ extra: ExtraSection, filter: inout LineFilter) {
    let (title, address) = extra.heading
    let origin = LineOrigin.extra(title: extra.title, nil)
    let lines = filter.verbatim(extra.lines) { .extra(title: extra.title, $0) }
    let bind = address.map { [ConfigLine(text: "bind \($0)", origin: origin)] } ?? []
    sections.append(Section(ConfigLine(text: title.joined(separator: " "), origin: origin), lines: bind + lines))
    if title.first == "defaults" { defaults = lines }
  }

  /// Names of these sections as `backend stats`, whether they are skipped or not: `userlist web` and a service `web` have nothing to do with each
  /// other.
  static func names(_ settings: GeneratorSettings) -> Set<String> {
    var names: Set<String> = settings.sharedFrontend == nil ? [] : [sharedFrontend]
    for title in settings.extraSections.map(\.heading.words) where title.count > 1 {
      if title[0] == "frontend" || title[0] == "listen" { names.insert("frontend \(title[1])") }
      if title[0] == "backend" || title[0] == "listen" { names.insert("backend \(title[1])") }
    }
    return names
  }
}

import SmartStack
import Testing

@testable import HAProxyConfigGen

/// The original's files, reproduced; where ours differ on purpose, the case says why.
@Suite("golden") struct GoldenTests {
  @Test("every recorded file is rendered to the letter", arguments: GoldenCase.all)
  func rendersRecordedFiles(_ golden: GoldenCase) throws {
    let memory = golden.state.flatMap { ServerMemory(stateFile: Array($0.utf8)) } ?? ServerMemory()
    var model = ProxyModel(settings: golden.settings, services: golden.services, memory: memory)
    var ids: [String: [String: Int]] = [:]
    for (index, step) in golden.steps.enumerated() {
      for (service, backends) in step.backends {
        model.apply(ServiceSnapshot(service: service, backends: backends), now: Fixture.now + index)
      }
      let (file, isAccepted) = try HAProxyTool.settle(&model)
      #expect(file.text.hasSuffix("\n"))
      #expect(isAccepted || golden.mayBeInvalid)
      let sections = GoldenSection.read(file.text)
      let comparison = GoldenComparison(golden: golden, previousIDs: ids)
      let differences = step.expected.map { comparison.difference(sections, $0) }
      #expect(differences.contains(nil), "\(golden.reason ?? "as recorded"): \(differences)\n\(file.text)")
      ids = GoldenComparison.ids(sections)
      if let state = step.state {
        expectState(Array(model.stateFile(now: Fixture.now + index).joined()), state, ids, step: index)
      }
    }
    for name in golden.names {
      #expect(model.problems.contains { name.isAlternative(in: $0.description) }, "\(name) in \(model.problems)")
    }
    #expect(!golden.isBadService || model.problems.contains { $0.severity == .badService })
  }

  /// The state file tells of the recorded servers, with the ids that the file has.
  private func expectState(
    _ bytes: [UInt8], _ expected: [String: [String]], _ ids: [String: [String: Int]], step: Int
  ) {
    let state = JSONValue(bytes)
    for (service, names) in expected {
      let members = (state?[service]?.object?.values ?? [:]).filter { $0.key != "watcher_config_for_generator" }
      // The original writes its state once a minute, so a later step's newcomers may be missing there.
      let newcomers = step > 0 ? Set((ids["backend \(service)"] ?? [:]).keys) : []
      let found = Set(members.keys)
      #expect(found.isSuperset(of: names) && found.isSubset(of: newcomers.union(names)))
      for member in members where ids["backend \(service)"]?[member.key] != nil {
        #expect(member.value["haproxy_server_id"]?.int == ids["backend \(service)"]?[member.key])
      }
    }
  }
}

/// Compares a file with an expectation: plain lines in order, servers by name, ids by what is demanded of them.
struct GoldenComparison {
  var golden: GoldenCase
  var previousIDs: [String: [String: Int]]

  private struct Server {
    var name: String
    var id: Int?
    var rest: [String]

    init(_ line: String) {
      var words = line.split(separator: " ").map(String.init)
      name = words[1]
      if let at = words.firstIndex(of: "id"), at + 1 < words.count, let id = Int(words[at + 1]) {
        self.id = id
        words.removeSubrange(at...at + 1)
      }
      rest = Array(words.dropFirst(2))
    }
  }

  static func ids(_ sections: [GoldenSection]) -> [String: [String: Int]] {
    Dictionary(sections.map { ($0.header, servers($0).reduce(into: [:]) { $0[$1.name] = $1.id }) }) { $1 }
  }

  private static func servers(_ section: GoldenSection) -> [Server] {
    section.header.hasPrefix("backend ") ? section.lines.filter { $0.hasPrefix("server ") }.map(Server.init) : []
  }

  /// nil, or the first difference.
  func difference(_ actual: [GoldenSection], _ expected: [GoldenSection]) -> String? {
    guard actual.map(\.header) == expected.map(\.header) else {
      return "sections \(actual.map(\.header)), expected \(expected.map(\.header))"
    }
    for (ours, theirs) in zip(actual, expected) {
      if let difference = difference(ours, theirs) { return "[\(ours.header)] \(difference)" }
    }
    return nil
  }

  private func difference(_ actual: GoldenSection, _ expected: GoldenSection) -> String? {
    let plain = { (section: GoldenSection) in
      section.header.hasPrefix("backend ") ? section.lines.filter { !$0.hasPrefix("server ") } : section.lines
    }
    let optional = golden.optionalLines[expected.header] ?? []
    let lines = plain(actual).filter { !optional.contains($0) || plain(expected).contains($0) }
    guard lines == plain(expected) else { return "lines \(lines), expected \(plain(expected))" }
    let ours = GoldenComparison.servers(actual)
    var theirs = GoldenComparison.servers(expected)
    if let pattern = golden.optionalServers {
      let names = Set(ours.map(\.name))
      theirs = theirs.filter { names.contains($0.name) || !$0.name.matches(optional: pattern) }
    }
    guard ours.map(\.name).sorted() == theirs.map(\.name).sorted() else {
      return "servers \(ours.map(\.name)), expected \(theirs.map(\.name))"
    }
    if hasOrder(actual.header), ours.map(\.name) != theirs.map(\.name) {
      return "order \(ours.map(\.name)), expected \(theirs.map(\.name))"
    }
    for (one, other) in zip(ours.sorted { $0.name < $1.name }, theirs.sorted { $0.name < $1.name })
    where one.rest != other.rest {
      return "server \(one.name) \(one.rest), expected \(other.rest)"
    }
    return idProblem(ours, theirs, actual.header)
  }

  private func hasOrder(_ header: String) -> Bool {
    golden.services.contains { "backend \($0.backendSection)" == header && $0.backendOrder != .shuffle }
  }

  /// Unique, kept from step to step, within the limit, and as many as the original gave.
  private func idProblem(_ ours: [Server], _ theirs: [Server], _ header: String) -> String? {
    let ids = ours.compactMap(\.id)
    if Set(ids).count != ids.count { return "ids not unique: \(ids)" }
    let wanted = golden.reason == nil ? theirs.compactMap(\.id).count : min(ours.count, golden.settings.maxServerID)
    if ids.count != wanted, !golden.settings.extraSections.contains(where: { $0.title == header }) {
      return "\(ids.count) ids, expected \(wanted)"
    }
    for server in ours {
      guard let id = server.id, let before = previousIDs[header]?[server.name] else { continue }
      if id != before { return "\(server.name) changed its id from \(before) to \(id)" }
    }
    return nil
  }
}

extension String {
  /// The only patterns the recorded expectations use: `^gone_` and `^[cf]_`.
  fileprivate func matches(optional pattern: String) -> Bool {
    switch pattern {
    case "^[cf]_": hasPrefix("c_") || hasPrefix("f_")
    default: hasPrefix(String(pattern.dropFirst()))
    }
  }

  /// `a|b` in a text.
  fileprivate func isAlternative(in text: String) -> Bool {
    split(separator: "|").contains { text.contains($0) }
  }
}

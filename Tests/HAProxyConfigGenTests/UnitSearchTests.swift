import Testing

@testable import HAProxyConfigGen

/// The search for what HAProxy refuses without naming it.
@Suite("the search for a culprit") struct UnitSearchTests {
  /// Services that mention each other, and an operator's section that uses one of them.
  private static let model: ProxyModel = {
    var settings = Fixture.settings
    settings.sharedFrontend = ["bind :7000"]
    settings.extraSections = [
      ExtraSection(title: "frontend x", lines: ["bind :7001", "default_backend s9"]),
      ExtraSection(title: "userlist u", lines: []),
    ]
    let services = (0..<10).map { index in
      Fixture.service("s\(index)") {
        $0.port = .number(String(7100 + index))
        // Each uses the next one.
        if index < 9 { $0.frontend = ["use_backend s\(index + 1) if TRUE"] }
        if index == 4 { $0.sharedFrontend = ["use_backend s4 if TRUE"] }
      }
    }
    return ProxyModel(settings: settings, services: services, memory: ServerMemory())
  }()

  /// Runs a search with a HAProxy that refuses files with any of some parts.
  /// - Returns: what was found, and the number of checks.
  private static func search(refusing bad: Set<LineOrigin>) -> (found: [LineOrigin], checks: Int) {
    var search = UnitSearch(model, message: "no")
    var checks = 0
    while let without = search.next {
      checks += 1
      search.record(refusal: bad.isSubset(of: without) ? nil : "no, not \(checks)")
    }
    return (search.found.map(\.part), checks)
  }

  @Test("parts stand behind those that they mention") func order() {
    let parts = UnitSearchTests.model.parts
    func place(_ part: LineOrigin) -> Int { parts.firstIndex(of: part) ?? -1 }
    for index in 0..<9 {
      #expect(place(.service("s\(index)", .section, nil)) > place(.service("s\(index + 1)", .section, nil)))
    }
    #expect(place(.extra(title: "frontend x", nil)) > place(.service("s9", .section, nil)))
    #expect(place(.sharedFrontend(nil)) < place(.service("s4", .sharedFrontend, nil)))
    #expect(parts.count == 7 + 2 + 10 + 2 && Set(parts).count == parts.count)
  }

  @Test("every part is found as a culprit, in few checks") func single() {
    for part in UnitSearchTests.model.parts {
      let (found, checks) = UnitSearchTests.search(refusing: [part])
      #expect(found == [part] && checks <= 8, "\(part): \(found), \(checks) checks")
    }
  }

  @Test("several culprits are all found") func several() {
    let bad = Set([LineOrigin.defaults(0), .extra(title: "frontend x", nil), .service("s3", .section, nil)])
    let (found, checks) = UnitSearchTests.search(refusing: bad)
    #expect(Set(found) == bad && checks <= 24, "\(found), \(checks)")
  }

  @Test("a HAProxy that refuses everything ends the search") func hopeless() {
    var search = UnitSearch(UnitSearchTests.model, message: "no")
    search.record(refusal: "no")
    #expect(search.next == nil && search.found.isEmpty)
  }

  @Test("HAProxy's own words are kept; the rest of the file is accepted") func real() throws {
    // No line and no proxy is named for a certificate list that is missing for a whole frontend.
    var model = UnitSearchTests.model
    let isSkipped = model.skip([(part: LineOrigin.service("s9", .section, nil), message: "odd")])
    #expect(isSkipped)
    #expect(try HAProxyTool.settle(&model).isAccepted)
    #expect(!model.render().text.contains("frontend s9") && !model.render().text.contains("frontend x"))
    #expect(model.render().text.contains("frontend s8"))
  }
}

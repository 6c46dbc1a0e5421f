import Configure
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import OperatorTools

/// What schedulers are told, and by which level services are looked at.
@Suite struct ConstraintTests {
  private let directory = TemporaryDirectory()

  init() throws {
    for (name, text) in [
      "nail/services/location_types.json": #"["ecosystem", "superregion", "region", "habitat"]"#,
      "nail/services/location_mapping.json": #"""
      {"prod_ecosystem": {"west_superregion": {"w1_region": {"w1a_habitat": {}, "w1b_habitat": {}}, "w2_region": {"w2a_habitat": {}}},
                          "east_superregion": {"e1_region": {"e1a_habitat": {}}}}}
      """#,
      "nail/superregion": "west\n", "nail/region": "w1", "nail/ecosystem": "prod", "nail/habitat": "w1a",
      "soa/web/smartstack.yaml": """
      main: {proxy_port: 1, advertise: [region, habitat], discover: habitat}
      wide: {proxy_port: 2, advertise: [superregion]}
      usual: {proxy_port: 3}
      odd: {proxy_port: 4, advertise: [galaxy], discover: [region]}
      wrong: {proxy_port: 5, advertise: region}
      """,
    ] { try directory.write(text, to: name) }
  }

  private func levels(locations: String? = nil) -> NamespaceLevels {
    NamespaceLevels(
      services: directory.path + "/soa", locations: locations ?? directory.path + "/nail", files: SourceFiles())
  }

  @Test(arguments: [
    ("web.main", nil, #"["habitat", "GROUP_BY", "3"]"#), ("web.main", "ecosystem", #"["habitat", "GROUP_BY", "4"]"#),
    ("web.main", "region", #"["habitat", "GROUP_BY", "2"]"#), ("web.main", "habitat", #"["habitat", "GROUP_BY", "1"]"#),
    ("web.wide", nil, #"["superregion", "GROUP_BY", "1"]"#),
    ("web.wide", "ecosystem", #"["superregion", "GROUP_BY", "2"]"#),
    ("web.usual", nil, #"["region", "GROUP_BY", "2"]"#),
  ])
  func constraints(_ name: String, within: String?, expected: String) throws {
    #expect(try levels().constraint(name, within: within).text() == expected)
  }

  @Test(arguments: [
    ("web.odd", nil, "web.odd is advertised by galaxy; DIR/nail/services/location_types.json has none of them"),
    ("web.wrong", nil, "DIR/soa/web/smartstack.yaml:5:35: wrong.advertise: expected a list, found the text \"region\""),
    ("web.ghost", nil, "DIR/soa/web/smartstack.yaml: ghost: there is no such namespace"),
    ("ghost.main", nil, "DIR/soa/ghost/smartstack.yaml: main: there is no such namespace"),
    ("web", nil, "'web' is not service.namespace"), ("../x.main", nil, "'../x.main' is not service.namespace"),
    (
      "web.main", "galaxy",
      "'galaxy' is not a location type (ecosystem, superregion, region, habitat)"
    ),
  ])
  func wrongOnes(_ name: String, within: String?, sentence: String) {
    do {
      Issue.record("\(try levels().constraint(name, within: within).text())")
    } catch {
      #expect("\(error)".replacing(directory.path, with: "DIR") == sentence)
    }
  }

  @Test func theHostsOwnPlace() throws {
    #expect(try levels().own("region") == "w1")
    #expect(levels().types.count == 4)
    try directory.write("", to: "nail/region")
    #expect(throws: OperatorError.self) { try levels().own("region") }
    let elsewhere = TemporaryDirectory()
    let other = levels(locations: elsewhere.path)
    do { Issue.record("\(try other.own("region"))") } catch {
      #expect(
        "\(error)"
          == "where this host is cannot be told: \(elsewhere.path)/services/location_types.json: there is no such file")
    }
  }

  @Test func instancesOfACluster() throws {
    try directory.write(
      """
      main: {instances: 3}
      canary: {registrations: [web.main, web.canary]}
      scaled: {nerve_ns: main, min_instances: 4, max_instances: 9, instances: 1}
      other: {instances: 100}
      _template: {instances: 50, nerve_ns: main}
      """, to: "soa/web/marathon-west.yaml")
    #expect(try levels().expected("web.main", cluster: "west") == 8)
    #expect(try levels().expected("web.canary", cluster: "west") == 1)
    #expect(try levels().expected("web.ghost", cluster: "west") == 0)
    do { Issue.record("\(try levels().expected("web.main", cluster: "east"))") } catch {
      #expect("\(error)".hasSuffix("soa/web/marathon-east.yaml: there is no such file"))
    }
    try directory.write("main: {instances: many}\n", to: "soa/web/marathon-bad.yaml")
    do { Issue.record("\(try levels().expected("web.main", cluster: "bad"))") } catch {
      #expect("\(error)".contains("marathon-bad.yaml:1:19: main.instances: expected an integer"))
    }
  }

  @Test func theDiscoverLevel() throws {
    #expect(try levels().discover("web.main") == "habitat")
    #expect(try levels().discover("web.usual") == "region")
    #expect(throws: ConfigError.self) { try levels().discover("web.odd") }
  }
}

import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Configure

@Suite struct LocationTests {
  /// Writes the files of the recorded cases: `/nail/etc` is the directory itself.
  private static func recordedFiles(_ golden: JSONValue, in directory: TemporaryDirectory) throws {
    for (path, content) in golden["files"]?.object?.members ?? [] {
      let name = String(path.dropFirst("/nail/etc/".count))
      try directory.write(content.string ?? content.text(), to: name)
    }
  }

  /// Every call that was recorded of the original library answers the same; where that raised, this throws.
  @Test func recordedCalls() throws {
    let golden = try #require(JSONValue(goldenFile("environment_tools.json")))
    let directory = TemporaryDirectory()
    try LocationTests.recordedFiles(golden, in: directory)
    let files = SourceFiles()
    let hierarchy = try LocationHierarchy(directory: directory.path + "/services", files: files)
    let locations = HostLocations(hierarchy: hierarchy, directory: directory.path, files: files)
    let examples = try #require(golden["examples"]?.array)
    #expect(examples.count > 30)
    for example in examples {
      let arguments = example["args"]?.array?.compactMap(\.string) ?? []
      let answer: Result<JSONValue, LocationError> = Result { () throws(LocationError) in
        switch example["function"]?.string {
        case "convert_location_type":
          .array(try hierarchy.convert(arguments[0], from: arguments[1], to: arguments[2]).map(JSONValue.string))
        case "compare_types": .int(try hierarchy.compare(arguments[0], with: arguments[1]))
        case "get_current_location": .string(try locations.current(arguments[0]))
        default: .array(hierarchy.types.map(JSONValue.string))
        }
      }
      switch answer {
      case .success(let value): #expect(value == example["result"], "\(example)")
      case .failure(let error): #expect(example["error"] != nil, "\(example): \(error)")
      }
    }
  }

  @Test func errorsNameTheFileAndTheWayOut() throws {
    let directory = TemporaryDirectory()
    try directory.write(#"["region", "habitat"]"#, to: "services/location_types.json")
    try directory.write(#"{"a_region": {"b_habitat": {}}}"#, to: "services/location_mapping.json")
    try directory.write("nowhere\n", to: "region")
    let files = SourceFiles()
    let hierarchy = try LocationHierarchy(directory: directory.path + "/services", files: files)
    let locations = HostLocations(hierarchy: hierarchy, directory: directory.path, files: files)
    let words = { (body: () throws(LocationError) -> [String]) -> String in
      do throws(LocationError) { return "\(try body())" } catch { return "\(error.isHosts) \(error)" }
    }
    #expect(
      words { () throws(LocationError) in try hierarchy.convert("a", from: "galaxy", to: "region") }
        == "false 'galaxy' is not a location type (region, habitat)")
    #expect(
      words { () throws(LocationError) in try hierarchy.convert("z", from: "region", to: "habitat") }
        == "false location_mapping.json has no region 'z' with anything above or below it")
    #expect(
      words { () throws(LocationError) in [try locations.current("habitat")] }
        == "false this host has no 'habitat': there is no \(directory.path)/habitat")
    #expect(
      words { () throws(LocationError) in try locations.convertCurrent("region", to: "habitat") }
        == "true \(directory.path)/region: location_mapping.json has no region 'nowhere' with anything above or below it"
    )
    #expect(files.paths.contains("\(directory.path)/habitat"), "a missing file is one to watch, too")
  }

  @Test(
    "hierarchies that are none",
    arguments: [
      ("{}", "{}", "types.json:1:1: expected a list, found a mapping"),
      ("[[]]", "{}", "types.json:1:2: [0]: expected text, found a list"),
      ("[a]", "[]", "mapping.json:1:1: expected a mapping, found a list"),
      ("[a]", "{x_a: {\n  y_b: 1}}", "mapping.json:2:8: x_a.y_b: expected a mapping, found the number 1"),
      ("[a]", "{\"x_a\": ", "mapping.json:"),
    ])
  func badHierarchies(_ types: String, _ mapping: String, _ problem: String) throws {
    let directory = TemporaryDirectory()
    try directory.write(types, to: "location_types.json")
    try directory.write(mapping, to: "location_mapping.json")
    let error = try #require(throws: ConfigError.self) {
      try LocationHierarchy(directory: directory.path, files: SourceFiles())
    }
    #expect("\(error)".hasPrefix("\(directory.path)/location_\(problem)"), "\(error)")
  }

  @Test func aLoopInTheMappingEnds() throws {
    let types = try YAMLDocument.parse(Array("[a, b]".utf8), file: "t")
    let mapping = try YAMLDocument.parse(Array("{x_a: {y_b: {x_a: {z_b: {}}}}}".utf8), file: "m")
    let hierarchy = try LocationHierarchy(types: types, mapping: mapping)
    #expect(try hierarchy.convert("x", from: "a", to: "b") == ["y", "z"])
    #expect(try hierarchy.convert("z", from: "b", to: "a") == ["x"])
  }
}

@Suite struct ZooKeeperTopologyTests {
  @Test(
    arguments: [
      ("- [10.0.0.1, 2181]\n- [zk.test, 22181, more]\n", "10.0.0.1:2181 zk.test:22181"), ("[]", ""),
      ("", "zk.yaml:1:1: expected a list, found null"),
      ("- [10.0.0.1, \"2181\"]", "zk.yaml:1:14: [0][1]: expected a port number, found the text \"2181\""),
      ("- [10.0.0.1]", "zk.yaml:1:3: [0]: expected [host, port], found 1 items"),
      ("- [10.0.0.1, 0]", "zk.yaml:1:14: [0][1]: 0 is outside 1...65535"),
      (
        "- [10.0.0.1, 2181",
        "zk.yaml:2:1: did not find expected ',' or ']' (while parsing a flow sequence, which starts in line 1)"
      ),
    ])
  func files(_ text: String, _ expected: String) throws {
    let directory = TemporaryDirectory()
    try directory.write(text, to: "zk.yaml")
    do throws(ConfigError) {
      let servers = try SourceFiles().zooKeeperServers("\(directory.path)/zk.yaml")
      #expect(servers.joined(separator: " ") == expected)
    } catch {
      #expect("\(error)" == "\(directory.path)/\(expected)")
    }
  }

  @Test func aMissingFileIsAnError() {
    #expect {
      _ = try SourceFiles().zooKeeperServers("/nonexistent/zk.yaml")
    } throws: {
      "\($0)" == "/nonexistent/zk.yaml: there is no such file"
    }
  }
}

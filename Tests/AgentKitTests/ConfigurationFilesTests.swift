import AgentKit
import Reactor
import TestSupport
import Testing
import YAMLConfig

@Suite struct ConfigurationFilesTests {
  let directory = TemporaryDirectory()

  private func write(_ text: String, _ name: String) throws {
    try Files.write(Array(text.utf8), to: "\(directory.path)/\(name)", mode: 0o644, sync: false)
  }

  @Test func aFileIsReadWithItsVariables() throws {
    try write("host: <%= ENV['H'] %>\n", "a.yaml")
    let path = directory.path + "/a.yaml"
    #expect(try ConfigurationFiles.read(path, environment: ["H": "h1"]).root.json() == #"{"host":"h1"}"#)
    #expect(try ConfigurationFiles.read(path).root["host"]?.string() == "<%= ENV['H'] %>")
  }

  @Test func aFileThatCannotBeReadIsNamed() {
    let error = #expect(throws: ConfigError.self) { try ConfigurationFiles.read(directory.path + "/none.yaml") }
    #expect(error?.description.hasPrefix("\(directory.path)/none.yaml: ") == true)
    #expect(error?.problem.contains("No such file") == true)
  }

  @Test func oneServicePerFileAndABadOneStandsAlone() throws {
    try write("{\"port\": 1}", "web.main.json")
    try write("port: 2\n", "api.yaml")
    try write("port: 3\n", "web.main.yaml")
    try write("a: [\n", "bad.yaml")
    try write("junk", "README")
    try write("junk", ".hidden.yaml")
    try write("service_conf_dir: \(directory.path)\n", "agent.conf")
    let section = try ConfigurationFiles.read(directory.path + "/agent.conf").root.section()
    let files = try ConfigurationFiles.services(of: section)
    #expect(files.map(\.service) == ["api", "bad", "web.main"])
    #expect(try files[2].document.get().root.json() == #"{"port":3}"#)
    let error = #expect(throws: ConfigError.self) { try files[1].document.get() }
    #expect(error?.description.hasPrefix("\(directory.path)/bad.yaml:2:1: ") == true)
    #expect(section.unknownKeys().isEmpty)
  }

  @Test func aMissingDirectoryIsAnErrorAtItsKey() throws {
    try write("service_conf_dir: /nonexistent/x\n", "agent.conf")
    let section = try ConfigurationFiles.read(directory.path + "/agent.conf").root.section()
    let error = #expect(throws: ConfigError.self) { try ConfigurationFiles.services(of: section) }
    #expect(error?.description.hasPrefix("\(directory.path)/agent.conf:1:19: service_conf_dir: ") == true)
    #expect(try ConfigurationFiles.services(of: ConfigSection(YAMLDocument.parse([], file: "f"))).isEmpty)
  }
}

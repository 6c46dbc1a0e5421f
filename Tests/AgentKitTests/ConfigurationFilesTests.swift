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
    var (files, plain) = (ConfigurationFiles(environment: ["H": "h1"]), ConfigurationFiles())
    #expect(try files.document(at: path).root.json() == #"{"host":"h1"}"#)
    #expect(try plain.document(at: path).root["host"]?.string() == "<%= ENV['H'] %>")
  }

  @Test func aFileThatCannotBeReadIsNamed() {
    var files = ConfigurationFiles()
    let error = #expect(throws: ConfigError.self) { try files.document(at: directory.path + "/none.yaml") }
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
    var reader = ConfigurationFiles()
    let section = try reader.document(at: directory.path + "/agent.conf").root.section()
    let files = try reader.services(of: section)
    #expect(files.map(\.service) == ["api", "bad", "web.main"])
    #expect(try files[2].document.get().root.json() == #"{"port":3}"#)
    let error = #expect(throws: ConfigError.self) { try files[1].document.get() }
    #expect(error?.description.hasPrefix("\(directory.path)/bad.yaml:2:1: ") == true)
    #expect(section.unknownKeys().isEmpty)
  }

  @Test func aMissingDirectoryIsAnErrorAtItsKey() throws {
    try write("service_conf_dir: /nonexistent/x\n", "agent.conf")
    var files = ConfigurationFiles()
    let section = try files.document(at: directory.path + "/agent.conf").root.section()
    let error = #expect(throws: ConfigError.self) { try files.services(of: section) }
    #expect(error?.description.hasPrefix("\(directory.path)/agent.conf:1:19: service_conf_dir: ") == true)
    #expect(try files.services(of: ConfigSection(YAMLDocument.parse([], file: "f"))).isEmpty)
  }

  @Test func whetherAnyOfThemHasChangedIsTold() throws {
    try write("service_conf_dir: \(directory.path)/services\n", "agent.conf")
    try Files.makeDirectory(directory.path + "/services", mode: 0o755)
    try write("port: 1\n", "services/web.yaml")
    func read() throws -> ConfigurationFiles {
      var files = ConfigurationFiles()
      _ = try files.services(of: files.document(at: directory.path + "/agent.conf").root.section())
      _ = try? files.bytes(of: directory.path + "/secret", limit: 100)
      return files
    }
    var files = try read()
    #expect(files.areUnchanged)
    // The same length, and perhaps within the resolution of the file system's clock.
    for (name, text) in [
      ("agent.conf", "service_conf_dir:  \(directory.path)/services\n"), ("services/web.yaml", "port: 2\n"),
      ("services/api.yaml", "port: 1\n"), ("secret", "a:b\n"), ("secret", "a:c\n"),
    ] {
      try write(text, name)
      #expect(!files.areUnchanged, "\(name)")
      files = try read()
      #expect(files.areUnchanged, "\(name)")
    }
    _ = try Files.remove(directory.path + "/services/web.yaml")
    #expect(!files.areUnchanged)
  }
}

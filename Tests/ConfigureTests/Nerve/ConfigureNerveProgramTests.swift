import Glibc
import Reactor
import TestSupport
import Testing

@testable import Configure

/// configure_nerve as a program.
@Suite("configure_nerve: the program") struct ConfigureNerveProgramTests {
  /// The program itself, under an account that may not read the file.
  @Test(arguments: [("soa/location_mapping.json", Int32(1)), ("soa/web/smartstack.yaml", 3)])
  @LoopActor func aFileThatMayNotBeRead(_ file: String, _ status: Int32) async throws {
    let host = try ConfigureNerveBadInputTests.host()
    let root = host.directory.path
    #expect(await host.run().status == 0)
    let before = host.configuration
    #expect(chmod(root, 0o777) == 0 && chmod("\(root)/\(file)", 0) == 0)
    #expect(chmod("\(root)/nerve.conf.json", 0o666) == 0)
    let other = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : ["env"]
    let result = try await ChildProcess.run(
      "/usr/bin/\(other[0])", arguments: other.dropFirst() + ConfigureNerveProgramTests.command(host),
      deadline: .seconds(60))
    let said = String(decoding: result.errorOutput, as: UTF8.self)
    #expect(result.status == .exited(status), "\(said)")
    #expect(said.contains("\(root)/\(file): open: Permission denied"), "\(said)")
    #expect(host.configuration == before)
  }

  /// Colours are for terminals; the exit status is the same.
  @Test @LoopActor func aDiffHasColoursOnATerminal() async throws {
    let host = try ConfigureNerveBadInputTests.host()
    #expect(await host.run().status == 0)
    let arguments = ConfigureNerveProgramTests.command(host) + ["--diff"]
    let run = { (program: String, arguments: [String], environment: [String: String]) in
      let result = try await ChildProcess.run(
        program, arguments: arguments, environment: environment, deadline: .seconds(60), outputLimit: 1 << 20)
      return (status: result.status, text: String(decoding: result.output, as: UTF8.self))
    }
    let terminal = ["-qec", arguments.joined(separator: " "), "/dev/null"]
    let path = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]
    let none = try await run("/usr/bin/script", terminal, path)
    #expect(none.status == .exited(0) && none.text.isEmpty)
    try host.directory.write("8001", to: "soa/web/port")
    let plain = try await run(arguments[0], Array(arguments.dropFirst()), path)
    #expect(plain.status == .exited(1) && plain.text.contains("+            \"port\": 8001,"))
    let colored = try await run("/usr/bin/script", terminal, path)
    #expect(colored.status == .exited(1) && colored.text.contains("\u{1B}[32m+  "))
    let asked = try await run("/usr/bin/script", terminal, path.merging(["NO_COLOR": "1"]) { $1 })
    #expect(asked.text.replacing("\r\n", with: "\n") == plain.text)
  }

  @LoopActor private static func command(_ host: NerveHost) -> [String] {
    let root = host.directory.path
    return [
      BuiltProgram.path("nerve"), "configure_nerve", "--services-source", "static:\(root)/static", "--services-source",
      "file:\(root)/list", "--soa-dir", "\(root)/soa", "--location-dir", "\(root)/etc", "--zk-topology-dir",
      "\(root)/zookeeper", "--labels-dir", "\(root)/labels", "--nerve-config-path", "\(root)/nerve.conf.json",
      "--heartbeat-path", "\(root)/heartbeat", "--host-address", "10.0.0.1", "--reload", "none",
    ]
  }
}

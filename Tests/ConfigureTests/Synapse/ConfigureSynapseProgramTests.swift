import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure

/// configure_synapse as a program.
@Suite("configure_synapse: the program") struct ConfigureSynapseProgramTests {
  /// The program itself, under an account that may not read the file.
  @Test(arguments: [("zookeeper.yaml", Int32(1)), ("soa/web/smartstack.yaml", 3)])
  @LoopActor func aFileThatMayNotBeRead(_ file: String, _ status: Int32) async throws {
    let host = try ConfigureSynapseBadInputTests.host()
    #expect(await Said().configurator(host).run().status == 0)
    let before = host.read("synapse.conf.json")
    #expect(chmod(host.path, 0o777) == 0 && chmod("\(host.path)/\(file)", 0) == 0)
    #expect(chmod("\(host.path)/synapse.conf.json", 0o666) == 0)
    let other = geteuid() == 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] : ["env"]
    let result = try await ChildProcess.run(
      "/usr/bin/\(other[0])", arguments: other.dropFirst() + host.command.words,
      environment: host.command.environment, deadline: .seconds(60))
    let said = String(decoding: result.errorOutput, as: UTF8.self)
    #expect(result.status == .exited(status), "\(said)")
    #expect(said.contains("\(host.path)/\(file): open: Permission denied"), "\(said)")
    #expect(host.read("synapse.conf.json") == before)
  }

  /// On a host without the package's address, and after the command that the sentence names.
  @Test @LoopActor func theCommandForThePackagedAddressHelps() async throws {
    let host = try ConfigureSynapseBadInputTests.host()
    try host.putOptions(["bind_addr": "169.254.255.254"])
    let script = """
      ip link set lo up
      "$@" 2> \(host.path)/first || exit 10
      eval "$(sed -n 's/.*interface: \\(ip address add [^(]*\\).*/\\1/p' \(host.path)/first)" || exit 11
      exec "$@"
      """
    let user = geteuid() == 0 ? [] : ["--map-root-user"]
    let result = try await ChildProcess.run(
      "/usr/bin/unshare", arguments: ["--net"] + user + ["/bin/sh", "-c", script, "sh"] + host.command.words,
      environment: host.command.environment, deadline: .seconds(60))
    #expect(result.status == .exited(0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
    let sentence =
      "warning: bind_addr 169.254.255.254 is on no interface of this host, so HAProxy cannot listen there; give it to "
      + "the loopback interface: ip address add 169.254.255.254/32 dev lo (with the package: systemctl start "
      + "smartstack-yocalhost)"
    #expect(host.read("first").contains(sentence))
    #expect(!String(decoding: result.errorOutput, as: UTF8.self).contains("bind_addr"))
  }

  /// Colours are for terminals; the exit status is the same.
  @Test @LoopActor func aDiffHasColoursOnATerminal() async throws {
    let host = try ConfigureSynapseBadInputTests.host()
    #expect(await Said().configurator(host).run().status == 0)
    let arguments = host.command.words + ["--diff"]
    var environment = host.command.environment
    let run = { (program: String, arguments: [String], environment: [String: String]) in
      let result = try await ChildProcess.run(
        program, arguments: arguments, environment: environment, deadline: .seconds(60), outputLimit: 1 << 20)
      return (status: result.status, text: String(decoding: result.output, as: UTF8.self))
    }
    let terminal = ["-qec", arguments.joined(separator: " "), "/dev/null"]
    let none = try await run("/usr/bin/script", terminal, environment)
    #expect(none.status == .exited(0) && none.text.isEmpty)
    try host.put("soa/web/smartstack.yaml", "main: {proxy_port: 20002}\n")
    let plain = try await run(arguments[0], Array(arguments.dropFirst()), environment)
    #expect(plain.status == .exited(1) && plain.text.contains("+                \"port\": \"20002\","))
    let colored = try await run("/usr/bin/script", terminal, environment)
    #expect(colored.status == .exited(1) && colored.text.contains("\u{1B}[32m+  "))
    environment["NO_COLOR"] = "1"
    let asked = try await run("/usr/bin/script", terminal, environment)
    #expect(asked.text.replacing("\r\n", with: "\n") == plain.text)
  }
}

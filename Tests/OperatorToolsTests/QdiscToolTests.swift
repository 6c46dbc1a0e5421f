import Glibc
import Reactor
import TestSupport
import Testing

/// The script `synapse_qdisc_tool`, on stand-ins for `tc` and `iptables` that write down how they are called: few kernels
/// have the queueing disciplines.
@Suite("synapse_qdisc_tool", .timeLimit(.minutes(2 * patience))) @LoopActor struct QdiscToolTests {
  private static let script =
    "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/") + "/packaging/bin/synapse_qdisc_tool"
  private let directory = TemporaryDirectory()

  /// A host whose plug is of `kind`.
  private init() throws { try stand(plug: "plug") }

  private func stand(plug kind: String) throws {
    let root = directory.path
    try program(
      "tc",
      """
      echo "tc $*" >> \(root)/calls
      case "$*" in
        *"handle 40: plug"*) [ \(kind) = plug ] ;;
        "qdisc add dev lo root"*) touch \(root)/lanes ;;
        "qdisc del"*) rm \(root)/lanes ;;
        "qdisc show"*)
          echo "qdisc prio 1: root"
          [ ! -e \(root)/lanes ] || printf 'qdisc %s\\n' "pfifo 10:" "pfifo 20:" "pfifo 30:" "\(kind) 40:" ;;
      esac
      """)
    try program(
      "iptables",
      """
      echo "iptables $*" >> \(root)/calls
      case "$*" in
        *-C*) [ -e \(root)/rule ] ;;
        *-I*) touch \(root)/rule ;;
        *-D*) rm \(root)/rule ;;
      esac
      """)
  }

  private func program(_ name: String, _ text: String) throws {
    try directory.write("#!/bin/sh\n" + text, to: "bin/\(name)")
    #expect(chmod(directory.path, 0o755) == 0 && chmod("\(directory.path)/bin/\(name)", 0o755) == 0)
  }

  private func run(_ words: String..., user: String? = nil) async throws -> (status: ChildResult.Status, output: String)
  {
    try await run(words, user: user)
  }

  private func run(_ words: [String], user: String?) async throws -> (status: ChildResult.Status, output: String) {
    var environment = ["PATH": directory.path + "/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    environment["SUDO_USER"] = user
    let result = try await ChildProcess.run(
      Self.script, arguments: words, environment: environment, deadline: .seconds(60))
    return (result.status, String(decoding: result.output, as: UTF8.self))
  }

  /// What was called since the last look.
  private func calls() throws -> [String] {
    defer { _ = try? Files.remove(directory.path + "/calls") }
    return (directory.text(of: "calls") ?? "").split(separator: "\n").map(String.init)
  }

  private static let rule = "OUTPUT -p tcp -s 169.254.255.254 --syn -j MARK --set-mark 1"

  @Test func theLanesAreMadeOnceAndRemovedWhole() async throws {
    #expect(try await run("check").status == .exited(1))
    #expect(try await run("needs_setup").status == .exited(0))
    _ = try calls()
    #expect(try await run("setup").status == .exited(0))
    let rule = "iptables -w -t mangle"
    #expect(
      try calls() == [
        "\(rule) -C \(Self.rule)", "tc qdisc del dev lo root", "\(rule) -D \(Self.rule)",
        "tc qdisc add dev lo root handle 1: prio bands 4",
        "tc qdisc add dev lo parent 1:1 handle 10: pfifo limit 1000",
        "tc qdisc add dev lo parent 1:2 handle 20: pfifo limit 1000",
        "tc qdisc add dev lo parent 1:3 handle 30: pfifo limit 1000",
        "tc qdisc add dev lo parent 1:4 handle 40: plug",
        "tc filter add dev lo protocol ip parent 1: prio 1 handle 1 fw classid 1:4",
        "tc qdisc change dev lo parent 1:4 handle 40: plug release_indefinite", "\(rule) -I \(Self.rule)",
      ])
    #expect(try await run("check").status == .exited(0))
    #expect(try await run("needs_setup").status == .exited(1))
    _ = try calls()
    #expect(try await run("setup").status == .exited(0))
    #expect(try calls() == ["\(rule) -C \(Self.rule)", "tc qdisc show dev lo"])
    #expect(try Files.remove(directory.path + "/lanes"))
    #expect(try await run("check").status == .exited(2))
    #expect(try await run("clear").status == .exited(0))
    #expect(try await run("check").status == .exited(1))
  }

  @Test(.enabled(if: geteuid() == 0, "needs root"), arguments: [nil, "daemon"])
  func aCommandIsProtectedWithoutRoot(_ user: String?) async throws {
    let result = try await run("protect", "sh", "-c", "id -un; id -G | wc -w; exit 7", user: user)
    #expect(result.status == .exited(7))
    #expect(result.output == "\(user ?? "nobody")\n1\n")
    let change = "tc qdisc change dev lo parent 1:4 handle 40: plug"
    #expect(try calls() == ["\(change) block", "\(change) release_indefinite"])
  }

  @Test func thePlug() async throws {
    let change = "tc qdisc change dev lo parent 1:4 handle 40: plug"
    #expect(try await run("manage_plug", "plug").status == .exited(0))
    #expect(try await run("manage_plug", "unplug").status == .exited(0))
    #expect(try calls() == ["\(change) block", "\(change) release_indefinite"])
    // A kernel without the plug gets a queue, which lets everything through.
    try stand(plug: "pfifo")
    #expect(try await run("setup").status == .exited(0))
    #expect(try calls().contains("tc qdisc add dev lo parent 1:4 handle 40: pfifo limit 1000"))
    #expect(try await run("manage_plug", "plug").status == .exited(0))
    for wrong in [["nonsense"], [], ["manage_plug"], ["manage_plug", "x"], ["setup", "x"], ["-x"], ["protect"]] {
      #expect(try await run(wrong, user: nil).status == .exited(2), "\(wrong)")
    }
    #expect(try await run("stat").output.contains("==== tc qdisc ===="))
  }
}

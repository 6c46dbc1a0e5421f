import Glibc
import Reactor
import TestSupport
import Testing

@testable import Hacheck

/// hacheck as a program, on a spool that a mount namespace of its own makes difficult.
@Suite struct SpoolTroubleTests {
  private struct ProgramEnded: Error, CustomStringConvertible {
    let description: String
  }

  @LoopActor private final class Program {
    let directory = TemporaryDirectory()
    let child: ChildProcess
    var spool: String { "\(directory.path)/spool" }
    private var socket: String { "\(directory.path)/socket" }

    /// - Parameters:
    ///   - mount: shell commands that prepare the spool, whose path is `$0`.
    ///   - settings: more lines of hacheck.yaml.
    init(mount: String, settings: String = "") async throws {
      let (path, spool) = (directory.path, "\(directory.path)/spool")
      mkdir(spool, 0o755)
      let configuration = "allow_remote_spool_changes: true\nunix_socket: \(path)/socket\nlog_path: \(path)/log\n"
      try Files.write(
        Array((configuration + settings).utf8), to: "\(path)/hacheck.yaml", mode: 0o644, sync: false)
      chmod(path, 0o755)
      let command = [
        "--mount", "sh", "-ec", "\(mount); exec \"$@\"", spool, BuiltProgram.path("nerve"), "hacheck", "-c",
        "\(path)/hacheck.yaml", "-p", "0", "-B", "127.0.0.1", "--spool-root", spool,
      ]
      child = try ChildProcess.start("unshare", arguments: getuid() == 0 ? command : ["--map-root-user"] + command)
      let child = child
      try await eventually("hacheck answers", within: .seconds(120)) {
        if let status = child.status { throw ProgramEnded(description: "hacheck ended: \(status) \(self.log)") }
        return (try? await self.get("/status"))?.status == 200
      }
    }

    isolated deinit { child.kill() }

    var log: String {
      ((try? Files.read("\(directory.path)/log", limit: 1 << 20)) ?? []).map { String(UnicodeScalar($0)) }.joined()
    }

    /// The spool's files as the program sees them.
    var files: [String] { (try? Files.list("/proc/\(child.pid)/root\(spool)")) ?? [] }

    func get(_ target: String) async throws -> HTTPResponse {
      try await HTTPClient.send(
        HTTPRequest(endpoint: .unix(path: socket), target: target), deadline: .seconds(120))
    }

    func post(_ name: String, _ form: String) async throws -> HTTPResponse {
      let type = HTTPHeader(name: "Content-Type", value: "application/x-www-form-urlencoded")
      let request = HTTPRequest(
        method: "POST", endpoint: .unix(path: socket), target: "/spool/\(name)/0/status", headers: [type],
        body: Array(form.utf8))
      return try await HTTPClient.send(request, deadline: .seconds(120))
    }
  }

  @Test @LoopActor func aFullDiskRefusesAndKeepsWhatWas() async throws {
    let hacheck = try await Program(mount: "mount -t tmpfs -o size=64k tmpfs \"$0\"")
    #expect(try await hacheck.post("web", "status=down&reason=first&creation=5").status == 200)
    let long = String(repeating: "x", count: 20_000)
    var refusal: HTTPResponse?
    var count = 0
    while refusal == nil, count < 10 {
      let answer = try await hacheck.post("filler-\(count)", "status=down&reason=\(long)")
      if answer.status == 200 { count += 1 } else { refusal = answer }
    }
    #expect(refusal?.status == 500)
    #expect(refusal?.text.contains("No space left on device") == true, "\(refusal?.text ?? "")")
    #expect(try await hacheck.post("web", "status=down&reason=\(long)").status == 500)
    #expect(try await hacheck.get("/spool/web/1/s").text == "Service web in down state since 5.000000: first")
    #expect(try await hacheck.get("/spool/filler-\(count)/1/s").status == 200)
    #expect(hacheck.files == (0..<count).map { "filler-\($0)" } + ["web"])
    #expect(hacheck.log.contains("spool cannot be changed") && hacheck.log.contains("No space left on device"))
    // Room again: everything goes on.
    #expect(try await hacheck.post("filler-0", "status=up").status == 200)
    #expect(try await hacheck.post("web", "status=down&reason=second&creation=6").status == 200)
    #expect(try await hacheck.get("/spool/web/1/s").text == "Service web in down state since 6.000000: second")
  }

  @Test @LoopActor func aReadOnlySpoolIsReadAndRefusesChanges() async throws {
    let expired = #"{"reason": "old", "expiration": 1.0, "creation": 1.0}"#
    let hacheck = try await Program(
      mount: "mount -t tmpfs tmpfs \"$0\"; echo -n frozen > \"$0/web\"; echo '\(expired)' > \"$0/db\"; "
        + "mount -o remount,ro \"$0\"")
    #expect(try await hacheck.get("/spool/web/1/s").text == "Service web in down state: frozen")
    #expect(try await hacheck.get("/spool/db/1/s").status == 200)
    for (name, form) in [("web", "status=up"), ("api", "status=down&reason=x")] {
      let answer = try await hacheck.post(name, form)
      #expect(answer.status == 500)
      #expect(answer.text.contains(hacheck.spool) && answer.text.contains("Read-only file system"), "\(answer.text)")
    }
    #expect(try await hacheck.get("/spool/web/1/s").status == 503)
    #expect(try await hacheck.get("/spool/api/1/s").status == 200)
    #expect(try await hacheck.get("/healthz").status == 200)
  }

  @Test @LoopActor func rootsRightsAreGivenUp() async throws {
    guard getuid() == 0 else { return }
    let hacheck = try await Program(mount: "true", settings: "user: nobody\ngroup: nogroup\nrlimit_nofile: 256\n")
    let status = try Files.read("/proc/\(hacheck.child.pid)/status", limit: 65_536)
    let lines = String(decoding: status, as: UTF8.self).split(separator: "\n")
    let (user, group) = (
      try #require(getpwnam("nobody")).pointee.pw_uid, try #require(getgrnam("nogroup")).pointee.gr_gid
    )
    #expect(lines.contains("Uid:\t\(user)\t\(user)\t\(user)\t\(user)"))
    #expect(lines.contains("Gid:\t\(group)\t\(group)\t\(group)\t\(group)"))
    #expect(lines.contains("CapEff:\t0000000000000000"))
    #expect(try await hacheck.get("/metrics").text.contains("process_max_fds 256\n"))
    // The spool is the account's own, so marks can be set.
    #expect(try await hacheck.post("web", "status=down&reason=x&creation=5").status == 200)
    #expect(hacheck.files == ["web"])
  }

  /// Tools, orders and an editor at once, on marks that are over as soon as they are set: nobody may take a file that
  /// another one is still making (once seen as `cannot rename`).
  @Test @LoopActor func manyHandsAtOnceDisturbNobody() async throws {
    let hacheck = try ServiceFixture { $0.allowsSpoolChanges = true }
    let root = hacheck.directory.path
    let tool = SpoolDirectory(root: root)
    let hands = (0..<8).map { hand in
      Task { @LoopActor in
        var refusals: [String] = []
        for round in 0..<20 {
          let name = "web-\(round % 3)"
          switch (hand + round) % 4 {
          case 0, 1:
            let form = "status=down&reason=\(hand)&expiration=\(round % 2 == 0 ? "5" : "4102444800")"
            let answer = try await hacheck.post("/spool/\(name)/0/status", form)
            if answer.status != 200 { refusals.append(answer.text) }
          case 2:
            do {
              if round % 2 == 1 {
                try tool.up(name)
              } else {
                try tool.down(name, reason: "t", expiration: 5, creation: nil, now: 1)
              }
              try tool.sync(name)
            } catch {
              refusals.append("\(error)")
            }
          default:
            do {
              for name in try tool.names() where try tool.read(name) != nil { try tool.removeExpired(name, now: 6) }
            } catch {
              refusals.append("\(error)")
            }
          }
        }
        return refusals
      }
    }
    for hand in hands { #expect(try await hand.value == []) }
    for number in 0..<3 { _ = try await hacheck.post("/spool/web-\(number)/0/status", "status=up") }
    #expect(try Files.list(root) == [])
  }
}

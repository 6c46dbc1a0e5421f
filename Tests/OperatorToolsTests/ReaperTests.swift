import Glibc
import Reactor
import TestSupport
import Testing

@testable import OperatorTools

/// The command `haproxy_synapse_reaper` and a HAProxy that is reloaded without synapse.
@Suite("haproxy_synapse_reaper", .timeLimit(.minutes(2 * patience))) @LoopActor struct ReaperTests {
  @Test func daemonsThatWereReplaced() async throws {
    let proxy = try ReloadedProxy(arguments: ["-D"])
    defer { proxy.stop() }
    var old: [Int32] = []
    for _ in 0..<2 {
      try await proxy.start()
      try await proxy.hold()
      old.append(try #require(proxy.pid))
    }
    try await proxy.start()
    #expect(try await proxy.reap().hasPrefix("0 INFO Creating pidfile for new alumnus: \(old[1])\n"))
    #expect(old.allSatisfy { ProcessRecord.read($0) != nil && Files.exists("\(proxy.alumni)/\($0)") })
    let reaped = try await proxy.reap("-p", "1")
    // Its age is that of the look before.
    #expect(reaped.contains("INFO Reaping process \(old[0]) with age "), "\(reaped)")
    #expect(reaped.contains("s and index 1"), "\(reaped)")
    try await eventually("the older one is gone") { ProcessRecord.read(old[0]) == nil }
    #expect(ProcessRecord.read(old[1]) != nil)
    // As if it had been seen two hours ago.
    let past = [timeval](repeating: timeval(tv_sec: time(nil) - 7200, tv_usec: 0), count: 2)
    #expect(utimes("\(proxy.alumni)/\(old[1])", past) == 0)
    try Files.write([], to: proxy.alumni + "/notes", mode: 0o644, sync: false)
    let said = try await proxy.reap()
    #expect(said.contains("Reaping process \(old[1])") && said.contains("Removing stale pidfile for \(old[0])"))
    #expect(said.contains("WARNING Ignoring invalid filename: notes"))
    try await eventually("the younger one is gone") { ProcessRecord.read(old[1]) == nil }
    #expect(try await proxy.reap("-p", "0", "-r", "0").contains("INFO Reaped 0 processes"))
    #expect(try Files.list(proxy.alumni) == ["notes"])
    #expect(try await proxy.answers())
  }

  @Test func workersOfAMaster() async throws {
    let proxy = try ReloadedProxy(arguments: ["-D", "-W"])
    defer { proxy.stop() }
    try await proxy.start()
    let master = try #require(proxy.pid)
    let worker = try #require(proxy.children(of: master).first)
    try await proxy.hold()
    try await eventually("the master has reloaded") {
      kill(master, SIGUSR2)
      return proxy.children(of: master).count > 1
    }
    // A master that is just executing itself anew is not the process of the pid file, and nothing is ended.
    try await eventually("the old worker is reaped") {
      try await proxy.reap("-p", "0").contains("INFO Reaping process \(worker) ")
    }
    try await eventually("the old worker is gone") { ProcessRecord.read(worker) == nil }
    #expect(try await proxy.answers())
    #expect(ProcessRecord.read(master) != nil)
  }

  @Test func nothingIsEndedWhileItIsUnknownWhoServes() async throws {
    let proxy = try ReloadedProxy(arguments: ["-D"])
    defer { proxy.stop() }
    try await proxy.start()
    let pid = try #require(proxy.pid)
    for (text, words) in [
      ("", "holds no process id"), ("\(getpid())\n", "which is not a process called \(proxy.name)"),
    ] {
      try Files.write(Array(text.utf8), to: proxy.pidFile, mode: 0o644, sync: false)
      let said = try await proxy.reap("-p", "0", "-r", "0")
      #expect(said.hasPrefix("1 ERROR \(proxy.pidFile) ") && said.contains(words))
    }
    try Files.write(Array("\(pid)\n".utf8), to: proxy.pidFile, mode: 0o644, sync: false)
    #expect(try await proxy.reap("-u", "no-such-user") == "1 ERROR there is no user no-such-user\n")
    #expect(try await proxy.reap("-r", "soon").hasPrefix("2 "))
    #expect(try await proxy.answers())
  }

  @Test("another process with a pid that was noted begins anew") func reusedPID() async throws {
    let proxy = try ReloadedProxy(arguments: ["-D"])
    defer { proxy.stop() }
    try await proxy.start()
    try await proxy.hold()
    let old = try #require(proxy.pid)
    try await proxy.start()
    let note = "\(proxy.alumni)/\(old)"
    try Files.makeDirectory(proxy.alumni, mode: 0o755)
    try Files.write(Array("1\n".utf8), to: note, mode: 0o644, sync: false)
    let past = [timeval](repeating: timeval(tv_sec: 1, tv_usec: 0), count: 2)
    #expect(utimes(note, past) == 0)
    #expect(try await proxy.reap().contains("Creating pidfile for new alumnus: \(old)"))
    #expect(ProcessRecord.read(old) != nil)
  }
}

/// A HAProxy that is replaced as `haproxy_reload_cmd_fmt` has it.
@LoopActor private final class ReloadedProxy {
  private let directory = TemporaryDirectory()
  private let arguments: [String]
  private let port: Int
  private var held: [ByteStream] = []
  private var started: Set<Int32> = []

  init(arguments: [String]) throws {
    self.arguments = arguments
    port = try freePort()
    let lines = [
      "defaults", "mode http", "timeout connect 1s", "timeout client 100s", "timeout server 1s", "listen web",
      "bind 127.0.0.1:\(port)", "http-request return status 200 content-type text/plain string served",
    ]
    try Files.write(
      Array((lines.joined(separator: "\n") + "\n").utf8), to: configuration, mode: 0o644, sync: false)
    guard symlink(HAProxyServer.executable, executable) == 0 else {
      throw FileError("link", path: executable, code: errno)
    }
  }

  /// One for each test, for the command ends whatever has the name and does not serve.
  var name: String { "hs-\(port)" }
  private var executable: String { directory.path + "/" + name }
  private var configuration: String { directory.path + "/haproxy.cfg" }
  var pidFile: String { directory.path + "/pid" }
  var alumni: String { directory.path + "/alumni" }

  var pid: Int32? {
    (try? Files.read(pidFile, limit: 64)).flatMap { Int32(String(decoding: $0, as: UTF8.self).filter(\.isNumber)) }
  }

  /// Starts it, in place of the one that serves.
  func start() async throws {
    var words = arguments + ["-f", configuration, "-p", pidFile]
    if let pid { words += ["-sf", "\(pid)"] }
    let before = pid
    let result = try await ChildProcess.run(executable, arguments: words, deadline: .seconds(20))
    #expect(result.status == .exited(0), "\(String(decoding: result.errorOutput, as: UTF8.self))")
    try await eventually("it serves") {
      guard let pid = self.pid, pid != before else { return false }
      self.started.insert(pid)
      // Until the one before has closed its port, a connection may still be that one's.
      guard try self.listeners() == 1 else { return false }
      return try await self.answers()
    }
  }

  /// How many sockets listen on the port.
  private func listeners() throws -> Int {
    let digits = String(port, radix: 16, uppercase: true)
    let suffix = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    let table = String(decoding: try Files.read("/proc/net/tcp", limit: 1 << 22), as: UTF8.self)
    return table.split(separator: "\n").count { line in
      let fields = line.split(separator: " ")
      return fields.count > 3 && fields[1].hasSuffix(suffix) && fields[3] == "0A"
    }
  }

  func children(of parent: Int32) -> [Int32] { ProcessRecord.all().filter { $0.parent == parent }.map(\.pid) }

  /// A request that is not sent to its end: the process that has it cannot leave.
  func hold() async throws {
    let stream = try await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(60))
    try stream.write("GET / HTTP/1.0\r\n")
    held.append(stream)
    // Whoever is asked next must be another one than who has this connection.
    #expect(try await answers())
  }

  func answers() async throws -> Bool {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: "/")
    guard let response = try? await HTTPClient.send(request, deadline: .seconds(5)) else { return false }
    return String(decoding: response.body, as: UTF8.self) == "served"
  }

  /// The exit status and what was said.
  func reap(_ more: String...) async throws -> String {
    let user = getpwuid(getuid()).map { String(cString: $0.pointee.pw_name) } ?? "\(getuid())"
    let result = try await ChildProcess.run(
      BuiltProgram.path("synapse"),
      arguments: ["haproxy_synapse_reaper", "-d", alumni, "-u", user, "--pid-file", pidFile, "--process-name", name]
        + more,
      deadline: .seconds(20))
    guard case .exited(let status) = result.status else { return "\(result.status)" }
    return "\(status) \(String(decoding: result.errorOutput, as: UTF8.self))"
  }

  func stop() {
    for stream in held { stream.close() }
    for pid in started.flatMap({ [$0] + children(of: $0) }) where ProcessRecord.read(pid)?.name == name {
      kill(pid, SIGKILL)
    }
  }
}

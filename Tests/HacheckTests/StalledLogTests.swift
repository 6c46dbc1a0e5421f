import Glibc
import Reactor
import TestSupport
import Testing

/// hacheck as a program whose standard error is a pipe that nobody reads.
@Suite struct StalledLogTests {
  @Test @LoopActor func aStalledReaderOfTheLogHoldsNothingUp() async throws {
    let directory = TemporaryDirectory()
    let (pipe, spool, socket) = (
      "\(directory.path)/log", "\(directory.path)/spool", "\(directory.path)/socket"
    )
    mkdir(spool, 0o755)
    mkfifo(pipe, 0o600)
    // Open for both, so that neither side waits for the other to come.
    let reader = open(pipe, O_RDWR | O_NONBLOCK | O_CLOEXEC)
    defer { close(reader) }
    let settings = "\(directory.path)/hacheck.yaml"
    try Files.write(Array("unix_socket: \(socket)\n".utf8), to: settings, mode: 0o644, sync: false)
    let command = [
      "-c", "exec \"$@\" 2>\(pipe)", "sh", BuiltProgram.path("nerve"), "hacheck", "-v", "-c", settings, "-p", "0", "-B",
      "127.0.0.1", "--spool-root", spool,
    ]
    let child = try ChildProcess.start("sh", arguments: command)
    defer { child.kill() }
    func get(_ target: String) async throws -> HTTPResponse {
      try await HTTPClient.send(HTTPRequest(endpoint: .unix(path: socket), target: target), deadline: .seconds(120))
    }
    try await eventually("hacheck answers", within: .seconds(120)) { (try? await get("/healthz"))?.status == 200 }
    // Each downtime is a line; together they are several times what a pipe takes.
    let reason = Array(String(repeating: "x", count: 2000).utf8)
    for number in 0..<200 {
      try Files.write(reason, to: "\(spool)/web-\(number)", mode: 0o644, sync: false)
    }
    try await eventually("every downtime is active", within: .seconds(120)) {
      try await get("/metrics").text.contains("hacheck_downtimes{scope=\"service\"} 200\n")
    }
    var buffer = [UInt8](repeating: 0, count: 1 << 20)
    let count = read(reader, &buffer, buffer.count)
    #expect(count > 0 && !String(decoding: buffer[..<max(0, count)], as: UTF8.self).contains("were dropped"))
    unlink("\(spool)/web-0")
    var text = ""
    try await eventually("the loss is told", within: .seconds(120)) {
      let count = read(reader, &buffer, buffer.count)
      if count > 0 { text += String(decoding: buffer[..<count], as: UTF8.self) }
      return text.contains("downtime lifted scope=web-0")
    }
    #expect(text.contains(/warning hacheck: log lines were dropped: the reader did not keep up count=[0-9]+\n/))
  }
}

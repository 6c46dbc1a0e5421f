import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure

@Suite("a large Mesos state", .timeLimit(.minutes(3 * patience))) struct MesosStateSizeTests {
  /// 60 MB as agents have them: mostly what nobody reads, in few and in many values.
  @Test(arguments: [6_000, 60]) @LoopActor func aStateOf60MBNeedsAtMost150(_ executors: Int) async throws {
    let host = try NerveHost(["soa/web/marathon-west.yaml": "main: {}"])
    let labels = #"{"key": "\#(String(repeating: "k", count: 20))", "value": "\#(String(repeating: "v", count: 50))"}"#
    let filler = Array(repeating: labels, count: 60_000_000 / executors / (labels.utf8.count + 1))
      .joined(separator: ",")
    let tasks = (0..<executors).map {
      """
      {"id": "\($0 == 0 ? "web.main.1" : "batch.\($0)")", "resources": {"ports": "[\(31000 + $0)-\(31000 + $0)]"},
      "tasks": [{"state": "TASK_RUNNING", "labels": [\(filler)]}]}
      """
    }
    let body = Array(
      #"{"id": "s1", "frameworks": [{"name": "marathon", "executors": [\#(tasks.joined(separator: ","))]}]}"#.utf8)
    #expect(body.count > 58_000_000)
    let agent = LoopbackServer { connection in
      _ = connection.receive(until: "\r\n\r\n")
      connection.send(Array("HTTP/1.1 200 OK\r\nContent-Length: \(body.count)\r\n\r\n".utf8) + body)
    }
    let root = host.directory.path
    // It stays resident, so that its peak can be read.
    let program = try ChildProcess.start(
      BuiltProgram.path("nerve"),
      arguments: [
        "configure_nerve", "--watch", "--poll-interval", "3600", "--services-source",
        "mesos:http://127.0.0.1:\(agent.port)", "--soa-dir", "\(root)/soa", "--location-dir", "\(root)/etc",
        "--paasta-dir", "\(root)/paasta", "--zk-topology-dir", "\(root)/zookeeper", "--labels-dir", "\(root)/labels",
        "--nerve-config-path", "\(root)/nerve.conf.json", "--heartbeat-path", "\(root)/heartbeat", "--host-address",
        "10.0.0.1", "--reload", "none",
      ], log: "\(root)/said")
    try await eventually("the task is registered: \(host.directory.text(of: "said") ?? "")", within: .seconds(120)) {
      host.names == ["web.main.s:10.0.0.1.31000"]
    }
    let status = String(decoding: try Files.read("/proc/\(program.pid)/status", limit: 1 << 16), as: UTF8.self)
    let peak = status.lines.first { $0.hasPrefix("VmHWM:") }?.split(separator: " ").dropFirst().first
    // A sanitizer, which needs the patience, has memory of its own beside every value.
    if patience == 1 { #expect(try #require(peak.flatMap { Int($0) }) < 150 << 10) }
    program.kill()
    _ = try await program.wait()
  }
}

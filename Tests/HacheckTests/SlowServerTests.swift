import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

/// One deadline for all of a check, however the server spends it.
@Suite struct SlowServerTests {
  @Test(arguments: CheckProtocol.allCases.filter { $0 != .spool && $0 != .tcp }, [true, false])
  @LoopActor func aServerThatDripsIsDownAtTheDeadline(_ kind: CheckProtocol, _ drips: Bool) async throws {
    let beginning: [UInt8] =
      switch kind {
      case .http: Array("HTTP/1.1 200 OK\r\nX-Long: ".utf8)
      case .mysql: [255, 0, 0, 0, 10]
      default: []
      }
    let server = LoopbackServer { peer in
      guard drips else { return peer.waitForClose() }
      // Each byte is progress; together they would take for ever.
      peer.send(beginning)
      while peer.send([UInt8(ascii: "2")]) {
        var none = pollfd()
        poll(&none, 0, 50)
      }
    }
    let hacheck = try ServiceFixture {
      $0.healthcheckTimeout = .milliseconds(300)
      ($0.mysqlUsername, $0.mysqlPassword) = ("u", "p")
      $0.mysqlServers = [.tcp(host: "127.0.0.1", port: server.port)]
    }
    let answer = try await hacheck.get("/\(kind)/svc/\(server.port)/x")
    #expect(answer.status == 503)
    #expect(answer.text.contains(/timed out|within|TLS/), "\(answer.text)")
  }

  @Test @LoopActor func aThousandHungServicesDelayNoOther() async throws {
    let hacheck = try ServiceFixture { $0.healthcheckTimeout = .seconds(3600) }
    var silent = (0..<1000).map { _ in ScriptedServer(nil) }
    let stuck = silent.enumerated().map { number, server in
      let request = CheckPath(protocol: .http, service: "hung-\(number)", port: server.port, query: "status")
      return Task { @LoopActor in await hacheck.service.check(request) }
    }
    try await eventually("all are under way", within: .seconds(120)) {
      hacheck.metrics.render().contains("hacheck_checks_in_flight 1000\n")
    }
    let backend = try Backend()
    for _ in 0..<20 {
      let answer = try await hacheck.get("/http/fine/\(backend.port)/status", ["Pragma": "no-cache"])
      #expect(answer.status == 200)
    }
    #expect(backend.requests.count == 20)
    #expect(hacheck.metrics.render().contains("hacheck_checks_in_flight 1000\n"))
    // Their sockets are closed, so their checks end.
    silent = []
    for task in stuck { #expect(await task.value.status == 503) }
  }

  @Test @LoopActor func checksWithoutASlotAreCounted() async throws {
    let hacheck = try ServiceFixture {
      $0.healthcheckTimeout = .milliseconds(200)
      $0.checksPerTarget = 1
    }
    let silent = ScriptedServer(nil)
    let stuck = ["a", "b", "c"].map { path in
      let request = CheckPath(protocol: .http, service: "hung", port: silent.port, query: path)
      return Task { @LoopActor in await hacheck.service.check(request) }
    }
    for task in stuck { #expect(await task.value.status == 503) }
    let lines = hacheck.metrics.render().split(separator: "\n")
    #expect(lines.contains("hacheck_checks_in_flight 0"))
    #expect(lines.contains("hacheck_checks_waiting 0"))
    #expect(lines.contains("hacheck_check_wait_seconds_count 3"))
    let refused = lines.first { $0.hasPrefix("hacheck_checks_refused_total ") }
    let checked = lines.first { $0.hasPrefix(#"hacheck_check_duration_seconds_count{protocol="http"} "#) }
    func number(_ line: Substring?) -> Int { line.flatMap { Int($0.split(separator: " ").last ?? "") } ?? -1 }
    #expect(number(refused) >= 1)
    #expect(number(refused) + number(checked) == 3)
  }
}

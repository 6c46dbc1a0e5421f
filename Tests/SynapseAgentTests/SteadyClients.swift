import Reactor
import TestSupport

@testable import SynapseAgent

/// Asks a service without a pause: some clients on one connection as long as it is kept, some on a new one each time.
@LoopActor final class SteadyClients {
  private(set) var answers = 0
  /// What went wrong, one sentence per failed request.
  private(set) var problems: [String] = []
  private var tasks: [Task<Void, Never>] = []
  /// Half of what an agent that is replaced in place lets a connection rest.
  private static let rest: Duration = .milliseconds(250)
  private var isStopping = false
  private let port: Int
  private let target: String

  init(port: Int, target: String = "/", keeping: Int = 2, renewing: Int = 2) {
    (self.port, self.target) = (port, target)
    for _ in 0..<keeping {
      tasks.append(Task { @LoopActor [weak self] in while self?.isStopping == false { await self?.keep() } })
    }
    for _ in 0..<renewing {
      tasks.append(Task { @LoopActor [weak self] in while self?.isStopping == false { await self?.renew() } })
    }
  }

  private func renew() async {
    do {
      let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: target)
      let status = try await HTTPClient.send(request, deadline: .seconds(20)).status
      if status == 200 { answers += 1 } else { problems.append("status \(status)") }
    } catch {
      problems.append("new connection: \(error)")
    }
  }

  /// One connection, for as long as the proxy keeps it.
  private func keep() async {
    do {
      let stream = try await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: .seconds(20))
      defer { stream.close() }
      var sent = LoopClock.system.now
      // A server may close a connection that rests: a client that is held up on a busy machine takes another one.
      while !isStopping, LoopClock.system.now - sent < SteadyClients.rest {
        sent = LoopClock.system.now
        stream.setDeadline(after: .seconds(20))
        try stream.write("GET \(target) HTTP/1.1\r\nHost: web\r\n\r\n")
        let head = try await self.head(of: stream)
        let status = head.first?.split(separator: " ").dropFirst().first ?? "none"
        if status == "200" { answers += 1 } else { problems.append("status \(status)") }
        let length = head.first { $0.lowercased().hasPrefix("content-length:") }
        _ = try await stream.read(exactly: Int(length?.split(separator: " ").last ?? "") ?? 0)
        if head.contains(where: { $0.lowercased() == "connection: close" }) { return }
      }
    } catch {
      problems.append("kept connection: \(error)")
    }
  }

  private func head(of stream: ByteStream) async throws -> [String] {
    var lines: [String] = []
    while true {
      let line = try await stream.readLine(limit: 1 << 14)
      if line.isEmpty { return lines }
      lines.append(line)
    }
  }

  /// Ends after the requests that are under way.
  func stop() async {
    isStopping = true
    for task in tasks { await task.value }
  }
}

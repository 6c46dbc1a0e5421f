internal import Reactor
internal import SmartStack

/// One way to find out whether a service is healthy.
@LoopActor protocol HealthCheck: AnyObject {
  /// For logs and metrics.
  var name: String { get }

  /// Looks once. Never throws: what goes wrong is the result's detail.
  /// - Parameter deadline: how long it may take in all.
  func probe(deadline: Duration) async -> CheckResult
}

/// Always healthy: that nerve runs is all there is to know.
@LoopActor final class NoopCheck: HealthCheck {
  let name: String

  init(name: String) { self.name = name }

  func probe(deadline: Duration) async -> CheckResult {
    CheckResult(passed: true, detail: "not checked", elapsed: .zero)
  }
}

/// Healthy when a TCP connection is accepted; nothing is sent.
@LoopActor final class TCPCheck: HealthCheck {
  let name: String
  private let endpoint: Endpoint
  private let clock: LoopClock

  init(name: String, host: String, port: Int, clock: LoopClock) {
    self.name = name
    endpoint = .tcp(host: host, port: port)
    self.clock = clock
  }

  func probe(deadline: Duration) async -> CheckResult {
    let started = clock.now
    do {
      try await ByteStream.connect(to: endpoint, deadline: deadline).close()
      return CheckResult(passed: true, detail: "connected", elapsed: clock.now - started)
    } catch {
      return CheckResult(passed: false, detail: "\(error)", elapsed: clock.now - started)
    }
  }
}

/// Healthy when a GET is answered with 200...399 and, if asked for, a certain text in the body.
/// Redirects are not followed, certificates not verified: the original's contract.
@LoopActor final class HTTPCheck: HealthCheck {
  let name: String
  private let settings: HTTPCheckSettings
  private let request: Result<PreparedHTTPRequest, any Error>
  private let clock: LoopClock

  init(name: String, settings: HTTPCheckSettings, clock: LoopClock) {
    self.name = name
    self.settings = settings
    self.clock = clock
    let request = HTTPRequest(
      endpoint: .tcp(host: settings.host, port: settings.port),
      tls: settings.usesTLS ? TLSOptions(serverName: settings.host) : nil,
      target: settings.uri,
      headers: settings.headers.map { HTTPHeader(name: $0.name, value: $0.value) })
    self.request = Result { try request.prepared() }
  }

  func probe(deadline: Duration) async -> CheckResult {
    let started = clock.now
    do {
      let response = try await HTTPClient.send(request.get(), deadline: deadline, timeouts: settings.timeouts)
      let (passed, detail) = HTTPCheck.judge(
        status: response.status, body: response.body, expect: settings.expect)
      return CheckResult(passed: passed, detail: detail, elapsed: clock.now - started)
    } catch {
      return CheckResult(passed: false, detail: "\(error)", elapsed: clock.now - started)
    }
  }

  /// The verdict on an answer, and its words for the log.
  nonisolated static func judge(status: Int, body: [UInt8], expect: String?) -> (passed: Bool, detail: String) {
    guard (200...399).contains(status) else { return (false, "HTTP \(status)\(excerpt(body))") }
    guard let expect, !body.contains(Array(expect.utf8)) else { return (true, "HTTP \(status)") }
    return (false, "HTTP \(status) without '\(expect)' in its body")
  }

  /// The beginning of a body, on one line: it often says what is wrong.
  private nonisolated static func excerpt(_ body: [UInt8]) -> String {
    String(decoding: body.prefix(120), as: UTF8.self).firstLine().map { ": \($0)" } ?? ""
  }
}

extension [UInt8] {
  /// Whether `part` occurs; an empty one does.
  fileprivate func contains(_ part: [UInt8]) -> Bool {
    guard let first = part.first else { return true }
    guard count >= part.count else { return false }
    return (0...(count - part.count)).contains { self[$0] == first && self[$0..<($0 + part.count)].elementsEqual(part) }
  }
}

internal import Hacheck
internal import Reactor
internal import SmartStack

/// An http check that points at this host's own hacheck: a call while ours answers there, HTTP while
/// another one does.
@LoopActor final class HacheckCheck: HealthCheck {
  let name: String
  /// What hacheck is asked.
  let request: CheckRequest
  private let embedded: EmbeddedHacheck
  private let overHTTP: HTTPCheck
  private let expect: String?
  private let clock: LoopClock

  /// nil when `settings` ask something else than a health question of our hacheck.
  init?(name: String, settings: HTTPCheckSettings, embedded: EmbeddedHacheck, clock: LoopClock) {
    let headers = settings.headers.map { (name: $0.name, value: $0.value) }
    guard !settings.usesTLS, embedded.isOwn(host: settings.host, port: settings.port),
      let request = CheckRequest(target: settings.uri, headers: headers)
    else { return nil }
    self.name = name
    self.request = request
    self.embedded = embedded
    self.clock = clock
    expect = settings.expect
    overHTTP = HTTPCheck(name: name, settings: settings, clock: clock)
  }

  /// The operator's mark that covers what this check asks about.
  var mark: SpoolMark? {
    let host = request.headers.first { $0.name.lowercased() == "x-nerve-check-ip" }?.value
    return embedded.service.mark(for: request.service, port: request.port == 0 ? nil : request.port, host: host)
  }

  func probe(deadline: Duration) async -> CheckResult {
    if !embedded.isListening {
      let result = await overHTTP.probe(deadline: deadline)
      // Perhaps the other hacheck has just ended: then it is our turn, before anybody notices.
      guard !result.passed, embedded.takeOver() else { return result }
    }
    let started = clock.now
    let (service, request) = (embedded.service, request)
    let answer = try? await withDeadline(after: deadline, clock: clock) { await service.check(request) }
    let elapsed = clock.now - started
    guard let answer else { return CheckResult(passed: false, detail: "no answer in time", elapsed: elapsed) }
    let (passed, detail) = HTTPCheck.judge(status: answer.status, body: answer.body, expect: expect)
    return CheckResult(passed: passed, detail: detail, elapsed: elapsed)
  }
}

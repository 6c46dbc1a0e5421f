internal import Reactor

/// Makes a service's checks.
@LoopActor struct CheckFactory {
  /// The hacheck inside this process, if there is one.
  let embedded: EmbeddedHacheck?
  let clock: LoopClock

  /// One check per entry of the configuration, in its order.
  func checks(of service: ServiceConfiguration) -> [any HealthCheck] { service.checks.map(check) }

  private func check(_ check: CheckConfiguration) -> any HealthCheck {
    switch check.kind {
    case .noop: NoopCheck(name: check.name)
    case .tcp(let host, let port, _): TCPCheck(name: check.name, host: host, port: port, clock: clock)
    case .http(let settings):
      embedded.flatMap { HacheckCheck(name: check.name, settings: settings, embedded: $0, clock: clock) }
        ?? HTTPCheck(name: check.name, settings: settings, clock: clock)
    }
  }
}

internal import AgentKit
internal import Reactor

/// Makes a service's checks.
@LoopActor struct CheckFactory {
  /// The hacheck inside this process, if there is one.
  let embedded: EmbeddedHacheck?
  /// Shared by all commands of exec checks.
  let slots: AsyncSemaphore
  let clock: LoopClock

  /// Ours, without what our service manager tells us and nobody else.
  private static let commandEnvironment = ProcessEnvironment.current.filter {
    !["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"].contains($0.key)
  }

  /// One check per entry of the configuration, in its order.
  func checks(of service: ServiceConfiguration) -> [any HealthCheck] { service.checks.map(check) }

  private func check(_ check: CheckConfiguration) -> any HealthCheck {
    switch check.kind {
    case .noop: NoopCheck(name: check.name)
    case .tcp(let host, let port, _): TCPCheck(name: check.name, host: host, port: port, clock: clock)
    case .http(let settings):
      embedded.flatMap { HacheckCheck(name: check.name, settings: settings, embedded: $0, clock: clock) }
        ?? HTTPCheck(name: check.name, settings: settings, clock: clock)
    case .exec(let settings):
      ExecCheck(
        name: check.name, settings: settings, environment: CheckFactory.commandEnvironment, slots: slots, clock: clock)
    case .rabbitMQ(let settings): RabbitMQCheck(name: check.name, settings: settings, clock: clock)
    case .redis(let settings): ProbeCheck(name: check.name, settings: settings, clock: clock)
    case .mysql(let settings): ProbeCheck(name: check.name, settings: settings, clock: clock)
    }
  }
}

internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack
internal import YAMLConfig

/// A nerve without checks: one session, and the registrations of its host's tasks.
@LoopActor final class LightNerve {
  private let number: Int
  private let settings: FleetSettings
  private let publisher: RegistrationPublisher
  private var registrars: [Int: Registrar] = [:]

  init(_ number: Int, settings: FleetSettings, logger: Logger, metrics: Metrics) throws(ConfigError) {
    (self.number, self.settings) = (number, settings)
    publisher = RegistrationPublisher(
      instance: "host\(number)", sessionTimeout: .seconds(10), credentials: nil, store: nil, clock: .system,
      logger: logger, metrics: metrics)
    for task in settings.tasks(of: number) { try register(task, weight: 1) }
  }

  /// Registers a task, in place of what it has been registered as.
  private func register(_ task: Int, weight: Int) throws(ConfigError) {
    let former = registrars.removeValue(forKey: task)
    let registrar = publisher.publish(try settings.registration(of: task, weight: weight)) { event in
      if case .registered = event { Task.immediate { @LoopActor in await former?.close() } }
    }
    registrars[task] = registrar
    registrar.report(.up)
  }

  private func replace(_ task: Int, weight: Int, after delay: Duration) {
    LoopClock.system.schedule(after: delay) { [weak self] in try? self?.register(task, weight: weight) }
  }

  /// Each task of the first service is replaced at its moment within `duration`.
  func deploy(weight: Int, over duration: Duration) {
    for task in settings.tasks(of: number) where settings.service(of: task) == 0 {
      replace(task, weight: weight, after: duration * (Double(task) / Double(settings.tasks)))
    }
  }

  /// All tasks are registered with another weight, each host's at one moment within `duration`.
  func push(weight: Int, within duration: Duration) {
    let delay = duration * Double.random(in: 0...1)
    for task in settings.tasks(of: number) { replace(task, weight: weight, after: delay) }
  }

  /// All tasks go and come back; from the first return on with another weight.
  func flap(times: Int, every interval: Duration, weight: Int) {
    for turn in 0..<times {
      LoopClock.system.schedule(after: interval * turn) { [weak self] in self?.leave() }
      for task in settings.tasks(of: number) {
        replace(task, weight: weight, after: interval * turn + interval / 2)
      }
    }
  }

  private func leave() {
    for registrar in registrars.values { Task.immediate { @LoopActor in await registrar.close() } }
    registrars = [:]
  }
}

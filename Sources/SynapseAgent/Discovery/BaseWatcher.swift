internal import Reactor
internal import SmartStack

/// A service whose servers all stand in the configuration.
@LoopActor final class BaseWatcher: ServiceWatcher {
  let name: String
  private let policy: BackendPolicy

  init(service: ServiceConfiguration) {
    name = service.name
    var rules = service.rules
    rules.labelFilters = service.discovery.labelFilters
    policy = BackendPolicy(rules)
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    publish(ServiceSnapshot(service: name, backends: policy.backends))
    await untilCancelled()
  }
}

public import Reactor
public import YAMLConfig

/// One way to ask a server whether it is healthy.
///
/// nerve and hacheck share the probes; each judges the results as upstream's program of that name does.
public protocol Probe: Sendable {
  /// Asks once, and always has a result within `deadline`.
  @LoopActor func run(deadline: Duration) async -> ProbeResult

  /// Says whether nerve counts a result as healthy, and why, for the log.
  func judge(_ result: ProbeResult) -> (passed: Bool, detail: String)
}

extension Probe {
  /// Takes the result's own word.
  public func judge(_ result: ProbeResult) -> (passed: Bool, detail: String) {
    (result.isHealthy, result.description)
  }
}

/// The settings of one kind of probe, as an entry of nerve's `checks` has them. A new kind is one file that holds
/// them, with their defaults, and one case of ``ProbeKind``.
public protocol ProbeSettings: Hashable, Sendable {
  /// Reads the keys of this kind.
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError)

  /// The longest time that one run may take.
  var deadline: Duration { get }

  /// The name of a check whose configuration gives none; nil for the usual one.
  var name: String? { get }

  /// Makes a probe for one check.
  @LoopActor func probe(in context: ProbeContext) -> any Probe
}

extension ProbeSettings {
  /// No name of its own.
  public var name: String? { nil }
}

extension ProbeSettings where Self: Probe {
  /// The settings themselves, for probes that keep nothing between two runs.
  @LoopActor public func probe(in context: ProbeContext) -> any Probe { self }
}

/// The service that a check belongs to, and the place where it looks.
public struct ProbeTarget {
  /// The name of the service.
  public let service: String
  /// The check's name; see ``ProbeSettings/name`` for the exception.
  public let check: String
  /// The address or name to connect to.
  public let host: String
  /// The port to connect to.
  public let port: Int

  /// A target; see the properties.
  public init(service: String, check: String, host: String, port: Int) {
    (self.service, self.check, self.host, self.port) = (service, check, host, port)
  }

  /// The place as an address of the network.
  var endpoint: Endpoint { .tcp(host: host, port: port) }
}

/// Everything that the probes of one agent share.
@LoopActor public struct ProbeContext {
  let clock: LoopClock
  /// Bounds the commands that run at one time.
  let commands: AsyncSemaphore
  /// The variables that commands get.
  let environment: [String: String]

  /// A context; see the properties.
  public init(clock: LoopClock, commands: AsyncSemaphore, environment: [String: String]) {
    (self.clock, self.commands, self.environment) = (clock, commands, environment)
  }
}

extension ConfigSection {
  /// Seconds that a probe may take, or a step of it.
  func probeTimeout(_ key: String = "timeout", default fallback: Duration) throws(ConfigError) -> Duration {
    try duration(key, in: 0.001...86_400, default: fallback)
  }
}

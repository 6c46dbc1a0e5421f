internal import Reactor
public import YAMLConfig

/// A `discovery` section with method base: the default servers are all there is.
public struct BaseDiscovery: DiscoverySettings {
  /// Settings without a key.
  public init() {}

  /// Decodes a section that needs no key.
  public init(_ source: DiscoverySource) throws(ConfigError) {}

  /// The configuration's own servers.
  public var place: String { "default_servers" }

  /// A watcher with one reading, without servers.
  @LoopActor public func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    BaseWatcher(policy: environment.policy(for: .servers))
  }
}

@LoopActor private final class BaseWatcher: RegistryWatcher {
  private let policy: ReadingPolicy

  init(policy: @escaping ReadingPolicy) { self.policy = policy }

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    deliver(policy(RegistryReading()))
    await untilCancelled()
  }
}

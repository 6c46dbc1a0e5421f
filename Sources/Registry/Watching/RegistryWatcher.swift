public import Reactor
public import SmartStack

/// One complete reading of a registry: everything that it holds of a service, or of a part of it.
public struct RegistryReading: Equatable, Sendable {
  /// In the registry's order.
  public var backends: [Backend]
  /// JSON text of generator sections, if the registry has any.
  public var generatorConfig: String?
  /// Servers that are registered more than once, and not alike.
  public var conflicts: [RegistrationConflict]
  /// Whether a part of the registry has not answered since the start, so that servers may be missing.
  public var isPartial = false
  /// Whether a lost connection to the registry has just come back: it may not hold yet what it held.
  public var isSettling = false
  /// Whether the registry has none, and the previous servers are kept.
  public var isPreserved = false
  /// Entries that are no server, with the reason, by their place.
  var skipped: [String: String] = [:]
  /// Parts of registrations that cannot be used, by the registration's place.
  var ignored: [String: [String]] = [:]

  /// A reading of `backends` alone.
  public init(
    backends: [Backend] = [], generatorConfig: String? = nil, conflicts: [RegistrationConflict] = []
  ) {
    self.backends = backends
    self.generatorConfig = generatorConfig
    self.conflicts = conflicts
  }

  /// Adds the registration that stands at one place, or the reason why there is none.
  mutating func add(at place: String, _ decode: () throws(OperatorError) -> DecodedBackend) {
    do throws(OperatorError) {
      let decoded = try decode()
      backends.append(decoded.backend)
      if !decoded.ignored.isEmpty { ignored[place] = decoded.ignored }
    } catch {
      skipped[place] = error.description
    }
  }
}

/// Turns complete readings, one after the other, into what is offered of the service.
public typealias ReadingPolicy = @LoopActor (RegistryReading) -> RegistryReading

/// The readings that a policy is for: only names that are to be looked up need two.
public enum PolicyStage: Sendable {
  /// The registry's servers, as they are.
  case servers
  /// Registrations whose hosts are names: only what is to be looked up is decided on.
  case names
  /// The addresses of those names: the default servers are among them.
  case addresses
}

/// Follows one service in one registry.
@LoopActor public protocol RegistryWatcher: AnyObject {
  /// Delivers the service as a whole, first when everything about it is known and then after each change.
  /// Trouble with the registry is no change: the log says so, and what was delivered stands.
  ///
  /// Returns when its task is cancelled, and then delivers nothing more. It throws nothing else.
  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws
}

@LoopActor func untilCancelled() async { _ = try? await OneShotEvent<Void>().wait() }

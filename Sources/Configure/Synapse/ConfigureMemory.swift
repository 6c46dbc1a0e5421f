internal import Reactor
internal import YAMLConfig

/// What a run knows from the one before: what services' files say, and what was made of it. Only what changed since is
/// read and made again; the output is the same with and without.
struct ConfigureMemory: Sendable {
  /// What everything made depends on, beside the namespace's own settings.
  struct Facts: Equatable, Sendable {
    var options: ToolOptions
    var zookeeperHosts: [String]
    var locationTypes: [String]
    var migration: EnvoyMigration
    var canRouteByPath: Bool
  }

  /// What was made of one namespace.
  struct Made: Sendable {
    /// Where this host is, for each type that the namespace is advertised in.
    let locations: [String]
    /// Synapse's services, as the file has them.
    let services: [(name: String, bytes: [UInt8])]
    /// Lines for the shared sections.
    let global: [String]
    let defaults: [String]
  }

  /// Of the run before; nil until there was one.
  var facts: Facts?
  /// By the services' names.
  var services: [String: ServiceReading] = [:]
  /// How long a file must have been left alone to be known again.
  var settling = FileStamp.settling
  /// How many services did not have to be read.
  var knownCount = 0

  /// The service as it was read, if its files are what they were.
  func reading(of service: String, locationTypes: [String]) -> ServiceReading? {
    guard facts?.locationTypes == locationTypes, let known = services[service], known.isCurrent else { return nil }
    return known
  }
}

/// What the files of one service say.
struct ServiceReading: Sendable {
  /// Its namespaces without a mistake.
  var settings: [SmartStackNamespace] = []
  var problems: [SkippedService] = []
  /// Every path that was asked for, and what was there; nil for what cannot be known again.
  var states: [(path: String, state: FileState)]?
  /// What was made of each of ``settings``; nil for what is to be made again.
  var made: [ConfigureMemory.Made?] = []

  var isCurrent: Bool { states?.allSatisfy { FileState(path: $0.path) == $0.state } ?? false }
}

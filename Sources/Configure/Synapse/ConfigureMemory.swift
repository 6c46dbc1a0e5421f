internal import Reactor
internal import YAMLConfig

/// What a run knows from the one before: what services' files say, and what was made of it. Only what changed since is
/// read and made again; the output is the same with and without.
struct ConfigureMemory: Sendable {
  /// Of the run before; nil until there was one.
  var inputs: SynapseInputs?
  var services: [String: ServiceReading] = [:]
  /// How long a file must have been left alone to be known again.
  var settling = FileStamp.settling
  /// How many services did not have to be read.
  var knownCount = 0

  /// The service as it was read, if its files are what they were.
  func reading(of service: String, locationTypes: [String]) -> ServiceReading? {
    guard inputs?.locationTypes == locationTypes, let known = services[service], known.isCurrent else { return nil }
    return known
  }
}

/// What the files of one service say.
struct ServiceReading: Sendable {
  /// Its namespaces without a mistake, and what was made of each; nil for what is to be made again.
  var namespaces: [(settings: SmartStackNamespace, made: GeneratedNamespace?)] = []
  var problems: [SkippedService] = []
  /// Every path that was asked for, and what was there; nil for what cannot be known again.
  var states: [(path: String, state: FileState)]?
  var isCurrent: Bool { states?.allSatisfy { FileState(path: $0.path) == $0.state } ?? false }
}

/// What everything made depends on, beside the namespace's own settings.
struct SynapseInputs: Equatable, Sendable {
  let options: ToolOptions
  let zookeeperHosts: [String]
  let locationTypes: [String]
  let migration: EnvoyMigration
  let canRouteByPath: Bool
}

/// Synapse's services of one namespace, as the file has them.
struct GeneratedNamespace: Sendable {
  /// Where this host is, for each type that the namespace is advertised in.
  let locations: [String]
  let services: [(name: String, bytes: [UInt8])]
  /// Lines for the shared sections.
  let global: [String]
  let defaults: [String]
}

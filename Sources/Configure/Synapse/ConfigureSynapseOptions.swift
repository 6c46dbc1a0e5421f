/// The settings of configure_synapse: what it reads, and what becomes of the configuration.
public struct ConfigureSynapseOptions: Sendable {
  /// How synapse takes a change.
  public enum Reload: String, Sendable, CaseIterable {
    /// The commands of the tool's options; without any, SIGHUP to the synapse that runs, else a restart.
    case auto
    /// The commands, or `service synapse stop` and `start`.
    case restart
    /// The agent is not notified.
    case none
  }

  var toolOptions = "/etc/synapse/synapse-tools.conf.json"
  var servicesDirectory = "/nail/etc/services"
  /// The path of the migration's file, which may be missing.
  var envoyMigration = "/nail/srv/configs/service_mesh/envoy_migration.yaml"
  /// The action taken with the new configuration.
  public var mode = ConfigureMode.write
  /// How synapse is notified.
  public var reload = Reload.auto
  /// One file per location type, and `services/location_types.json`.
  public var locationDirectory = "/nail/etc"
  /// Where a running synapse keeps its lock.
  public var stateDirectory = "/run/synapse"
  /// Where metrics for node_exporter's textfile collector go; nil for none.
  public var metricsFile: String?
  /// What a file must be younger than while nothing changes, in seconds, in the resident mode.
  public var refreshInterval = 60

  /// Creates the options of a run that writes, from the usual places.
  public init() {}

  /// Replaces the usual places by those that the environment names.
  mutating func apply(_ environment: [String: String]) {
    toolOptions = environment["SYNAPSE_TOOLS_CONFIG_PATH"] ?? toolOptions
    servicesDirectory = environment["SOA_DIR"] ?? servicesDirectory
    envoyMigration = environment["ENVOY_MIGRATION_CONFIG_PATH"] ?? envoyMigration
  }
}

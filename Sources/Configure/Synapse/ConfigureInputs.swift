/// Where configure_synapse finds what it reads.
struct ConfigureInputs: Sendable {
  /// The path of `synapse-tools.conf.json`.
  var toolOptions = "/etc/synapse/synapse-tools.conf.json"
  /// One directory per service.
  var services = "/nail/etc/services"
  /// The path of the migration's file, which may be missing.
  var envoyMigration = "/nail/srv/configs/service_mesh/envoy_migration.yaml"
  /// One file per location type: where this host is.
  var locations = "/nail/etc"
  /// The list of location types.
  var locationTypes: String { locations + "/services/location_types.json" }

  /// Creates inputs at the usual places.
  init() {}

  /// The usual places, but for those that the environment names.
  init(environment: [String: String], locations: String) {
    self.locations = locations
    toolOptions = environment["SYNAPSE_TOOLS_CONFIG_PATH"] ?? toolOptions
    services = environment["SOA_DIR"] ?? services
    envoyMigration = environment["ENVOY_MIGRATION_CONFIG_PATH"] ?? envoyMigration
  }
}

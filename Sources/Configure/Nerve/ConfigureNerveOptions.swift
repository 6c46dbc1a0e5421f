/// The settings of configure_nerve; the defaults are upstream's.
public struct ConfigureNerveOptions: Sendable {
  /// How nerve is to take a new configuration.
  public enum Reload: String, CaseIterable, Sendable {
    /// SIGHUP to the nerve that runs; where none is found, as `restart`.
    case auto
    /// SIGHUP to the process of the pid file; where that is of no use, as `restart`.
    case sighup
    /// The backup nerve takes over while nerve is stopped and started.
    case restart
    /// The agent is not notified.
    case none
  }

  /// The file that is written.
  public var configuration = "/etc/nerve/nerve.conf.json"
  /// Goes into the file, and is looked at: a nerve that does not touch it is restarted.
  public var heartbeatPath = "/var/run/nerve/heartbeat"
  /// Older is too old, in seconds.
  public var heartbeatThreshold = 60
  /// The way in which nerve is notified.
  public var reload = Reload.auto
  /// The pid file that `sighup` reads.
  public var pidPath = "/var/run/nerve.pid"
  /// Where the nerve that runs keeps its lock, with its pid: read with `auto`.
  public var stateDirectory = "/run/nerve"
  /// The program that checks the candidate with `-c FILE -k`; nil checks it in this process.
  public var nerveExecutable: String?
  /// `start` and `stop` are added.
  public var nerveCommand = ["service", "nerve"]
  /// The command of the backup nerve, which serves during a restart.
  public var backupCommand = ["service", "nerve-backup"]
  /// How long a nerve that is just being started gets to take its lock, before it is restarted.
  public var startPatience = Duration.seconds(5)
  /// How long a started nerve gets to register everything, in seconds.
  public var registrationDelay = 30
  /// The directory with `<cluster type>/<location>.yaml`.
  public var topologyDirectory = "/nail/etc/zookeeper_discovery"
  /// The type of location that has ZooKeeper ensembles of its own.
  public var zooKeeperLocationType = "superregion"
  /// Which kind of ensemble.
  public var clusterType = "infrastructure"
  /// The port of hacheck on this host.
  public var hacheckPort = 6666
  /// The weight of static services that have none of their own; nil is 10, as for tasks.
  public var weight: Int?
  /// The directory with label files.
  public var labelsDirectory = "/etc/nerve/labels.d"
  /// The address that is registered; nil is the one that this host's name stands for.
  public var hostAddress: String?
  /// The port of Envoy's admin interface.
  public var envoyAdminPort = 9901
  /// Where local services are listed.
  public var sources = ServicesSource.usual
  /// soa-configs; `location_types.json` and `location_mapping.json` are in it, too.
  public var servicesDirectory = "/nail/etc/services"
  /// One file per type of location.
  public var locationsDirectory = "/nail/etc"
  /// The directory with PaaSTA's own configuration.
  public var paastaDirectory = "/etc/paasta"
  /// Whether a file that stays the same gets the time of the run: monitoring goes by its age.
  public var touchesUnchanged = true
  /// Between two questions to what tells nothing by itself: Mesos, programs.
  public var pollInterval = Duration.seconds(1)
  /// Written after each run for node_exporter's textfile collector; nil writes none.
  public var metricsFile: String?

  /// Creates options with their defaults.
  public init() {}
}

/// Command line and environment of one nerve.
public struct AgentOptions: Sendable {
  /// The path of the configuration file.
  public var configuration: String
  /// Registers under this name instead of the file's `instance_id`.
  public var instanceID: String?
  /// Timeout of ZooKeeper sessions: how long registrations outlive a host that is gone,
  /// and how long after a crash the next start finds them in place. The server may give less.
  public var sessionTimeout: Duration

  /// Creates the options of one nerve.
  public init(configuration: String, instanceID: String? = nil, sessionTimeout: Duration = .seconds(32)) {
    self.configuration = configuration
    self.instanceID = instanceID
    self.sessionTimeout = sessionTimeout
  }
}

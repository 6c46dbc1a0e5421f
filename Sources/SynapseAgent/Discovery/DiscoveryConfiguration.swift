/// A `discovery` section.
public struct DiscoveryConfiguration: Hashable, Sendable {
  /// The kinds of discovery.
  public indirect enum Method: Hashable, Sendable {
    /// The default servers are all there is.
    case base
    /// Children of one znode, watched or polled.
    case zookeeper(ZooKeeperDiscovery)
    /// The same, with hosts that are names to be resolved; of the second value the servers do not count.
    case zookeeperDNS(ZooKeeperDiscovery, DNSDiscovery)
    /// Names.
    case dns(DNSDiscovery)
    /// A directory of files.
    case file(FileDiscovery)
    /// Keys of an etcd.
    case etcd(EtcdDiscovery)
    /// Containers of Docker daemons.
    case docker(DockerDiscovery)
    /// Tasks of a Marathon application.
    case marathon(MarathonDiscovery)
    /// Instances of EC2.
    case ec2tag(EC2Discovery)
    /// Several of them under one name.
    case multi([NamedDiscovery], MultiResolver)
  }

  /// How.
  public var method: Method
  /// All must hold for a server found here.
  public var labelFilters: [LabelFilter]

  /// A section.
  public init(_ method: Method, labelFilters: [LabelFilter] = []) {
    self.method = method
    self.labelFilters = labelFilters
  }
}

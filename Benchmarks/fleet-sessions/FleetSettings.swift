internal import Registry
internal import SmartStack
internal import YAMLConfig
internal import ZooKeeper

/// What scripts/fleet asks of one process, and the rule by which tasks belong to services and hosts.
struct FleetSettings: Sendable {
  /// Whether its sessions are those of synapses; else those of nerves.
  let isReading: Bool
  let ensemble: ServerList
  /// The numbers of the hosts whose sessions this process has.
  let hosts: Range<Int>
  /// The number of hosts in all.
  let fleet: Int
  /// Services that every synapse follows; there is one more, which a push adds.
  let services: Int
  /// Tasks of the first service, and of each of the others.
  let (tasks, each): (Int, Int)
  /// Whether a registration stands in its node's name.
  let isInNames: Bool
  /// `discovery_jitter`.
  let jitter: Duration?
  let limits: ZooKeeperLimits

  init(_ section: ConfigSection) throws(ConfigError) {
    isReading = try section.bool("reading")
    let servers = try section.strings("ensemble")
    do { ensemble = try ServerList(servers) } catch { throw section.error(at: "ensemble", error.description) }
    let first = try section.int("first", in: 0...1_000_000)
    hosts = first..<first + (try section.int("count", in: 0...1_000_000))
    fleet = try section.int("fleet", in: 1...1_000_000)
    services = try section.int("services", in: 1...1_000_000)
    (tasks, each) = (try section.int("tasks", in: 0...1_000_000), try section.int("each", in: 0...1_000_000))
    isInNames = try section.bool("in_names")
    jitter = try section.optionalDuration("jitter")
    var limits = ZooKeeperLimits()
    if let spread = try section.optionalDuration("spread") { limits.reconnectSpread = spread }
    self.limits = limits
  }

  func directory(of service: Int) -> String { "/smartstack/global/service-\(service).main" }

  /// The tasks of a host, by their numbers.
  func tasks(of host: Int) -> StrideTo<Int> { stride(from: host, to: tasks + services * each, by: fleet) }

  /// The service of a task.
  func service(of task: Int) -> Int { task < tasks ? 0 : 1 + (task - tasks) / each }

  /// What a nerve's configuration says of a task's registration.
  func registration(of task: Int, weight: Int) throws(ConfigError) -> RegistrationTarget {
    let host = task % fleet
    let text = """
      {"host": "10.\(host >> 16).\(host >> 8 & 255).\(host & 255)", "port": \(20_000 + task % 10_000 + weight),
       "weight": \(weight), "labels": {"region:uswest1-prod": "", "superregion:uswest1-prod": ""},
       "zk_hosts": [\(JSONText.quoted(ensemble.description))], "zk_path": "\(directory(of: service(of: task)))",
       "use_path_encoding": \(isInNames)}
      """
    let section = try ConfigSection(YAMLDocument.parse(Array(text.utf8), file: "fleet"))
    return try RegistrationReader(instanceID: "host\(host).example.com", section: section).read(name: "task\(task)")
  }
}

internal import AgentKit
internal import HAProxyConfigGen
internal import Registry
internal import SmartStack
internal import YAMLConfig

/// Reads a configuration file and what belongs to it.
///
/// What is wrong with one service skips that service (``SynapseConfiguration/skipped``); what is wrong with
/// the rest is thrown, and nothing may start with it.
struct ConfigurationLoader {
  /// Sections that upstream skips, and ours; everything else at the top must be a generator's.
  private static let plainSections = [
    "services", "service_conf_dir", "haproxy", "file_output", "exec_output", "statsd", "state_dir",
    "first_data_deadline", "settle", "status_port", "status_address", "status_hosts", "zk_tls",
  ]

  /// Replaces `<%= ENV['NAME'] %>`.
  let environment: [String: String]

  func load(_ path: String) throws(ConfigError) -> SynapseConfiguration {
    var files = ConfigurationFiles(environment: environment)
    let document = try files.document(at: path)
    let top = try ConfigSection(document.root)
    var result = SynapseConfiguration(file: path)
    result.warnings = document.warnings
    if top.has("instance_id") { throw top.error(at: "instance_id", "this looks like nerve's file, not synapse's") }
    for key in top.keys where !ConfigurationLoader.plainSections.contains(key) {
      let hint = key.nearest(in: ConfigurationLoader.plainSections).map { "; is it '\($0)'?" } ?? ""
      throw top.error(
        at: key,
        "there is no configuration generator '\(key)' here; its listeners would be missing without a word\(hint)")
    }
    if let section = try top.optionalSection("haproxy") {
      result.haproxy = try HAProxyConfiguration(section)
    } else if top.has("haproxy") {
      throw top.error(at: "haproxy", "is null; it needs at least global and defaults")
    }
    if let section = try top.optionalSection("file_output") {
      result.fileOutputDirectory = try section.string("output_directory")
    }
    if let section = try top.optionalSection("exec_output") { result.execOutput = try execOutput(section) }
    if result.haproxy == nil, result.fileOutputDirectory == nil, result.execOutput == nil {
      throw document.root.error(
        "neither 'haproxy' nor 'file_output' nor 'exec_output' is given: there is nothing to keep")
    }
    try decodeRest(top, into: &result)
    try decodeServices(top, from: &files, into: &result)
    let settle = try top.duration("settle", in: 0...3600, default: BackendPolicy.Rules().settle)
    for index in result.services.indices { result.services[index].rules.settle = settle }
    result.warnings += top.unknownKeys()
    result.files = files
    return result
  }

  private func execOutput(_ section: ConfigSection) throws(ConfigError) -> ExecOutputConfiguration {
    let node = try section.required("command")
    var command = try node.strings()
    if case .scalar = node.value { command = ["/bin/sh", "-c"] + command }
    if command.isEmpty || command.contains(where: { $0.isEmpty || $0.utf8.contains(0) }) {
      throw section.error(at: "command", "a command, or a list of a program and its arguments, is needed")
    }
    var result = ExecOutputConfiguration(command: command)
    result.deadline = try section.duration("deadline", in: 0.1...3600, default: result.deadline)
    result.interval = try section.duration("min_interval", in: 0...3600, default: result.interval)
    return result
  }

  private func decodeRest(_ top: ConfigSection, into result: inout SynapseConfiguration) throws(ConfigError) {
    result.stateDirectory = try top.optionalString("state_dir")
    result.firstDataDeadline = try top.duration(
      "first_data_deadline", in: 0...86_400, default: result.firstDataDeadline)
    if top.has("status_port") { result.statusPort = try top.int("status_port", in: 0...65_535) }
    result.statusAddress = try top.string("status_address", default: result.statusAddress)
    result.statusHosts = try top.strings("status_hosts")
    result.tls = try top.zooKeeperTLS()
    if let port = result.statusPort {
      result.haproxy?.generator.reservedAddresses["status_port"] = "\(result.statusAddress):\(port)"
    }
    guard let section = try top.optionalSection("statsd") else { return }
    var sampleRates: [String: Double] = [:]
    for entry in try section.entries("sample_rate") {
      sampleRates[entry.name] = try entry.value.double(in: 0...1)
    }
    result.statsd = (
      try section.string("host", default: "localhost"), try section.int("port", in: 1...65_535, default: 8125),
      sampleRates
    )
  }

  // MARK: Services

  private func decodeServices(
    _ top: ConfigSection, from files: inout ConfigurationFiles, into result: inout SynapseConfiguration
  ) throws(ConfigError) {
    var order: [String] = []
    var nodes: [String: YAMLNode] = [:]
    for entry in try top.entries("services") {
      if nodes.updateValue(entry.value, forKey: entry.name) == nil { order.append(entry.name) }
    }
    for file in try files.services(of: top) {
      switch file.document {
      case .success(let document):
        result.warnings += document.warnings
        if nodes.updateValue(document.root, forKey: file.service) == nil { order.append(file.service) }
      case .failure(let error):
        result.skipped.append(SkippedService(name: file.service, error: error))
        nodes[file.service] = nil
      }
    }
    for name in order {
      guard let node = nodes[name] else { continue }
      decodeService(name, at: node, into: &result)
    }
  }

  private func decodeService(_ name: String, at node: YAMLNode, into result: inout SynapseConfiguration) {
    // Not adopted by the top: what is unknown to it is told here.
    var section: ConfigSection?
    do {
      let opened = try ConfigSection(node)
      section = opened
      let services = try ServiceDecoder(name: name, section: opened, environment: environment).decode()
      for service in services { try ServiceDecoder.checkName(service.name, at: node) }
      result.services += services
      result.warnings += opened.unknownKeys()
    } catch {
      // Often what is missing: a key that is written wrongly.
      if let section, let sample = ServiceDecoder.sample() { result.warnings += section.unknownKeys(beside: sample) }
      result.skipped.append(SkippedService(name: name, error: error))
    }
  }
}

internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// A `discovery` section with method ec2tag.
struct EC2Discovery: DiscoverySettings {
  var tagName: String
  /// The tag's value, exactly.
  var tagValue: String
  /// The region's EC2, and the account.
  var service: AWSService
  /// `check_interval`: the time between two questions.
  var interval: Duration = .seconds(15)

  init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    if !source.hasPortOverride {
      throw section.node.error("ec2tag knows no ports: the service needs a backend_port_override")
    }
    service = try AWSService("ec2", in: section, environment: source.environment)
    tagName = try section.string("tag_name")
    tagValue = try section.string("tag_value")
    interval = try source.interval(default: interval)
  }

  var place: String { "ec2 \(service.region) \(tagName)=\(tagValue)" }

  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    let client = AWSClient(service, clock: environment.clock)
    let part = PolledPart(place: "\(service.address) \(tagName)=\(tagValue)") {
      var reading = RegistryReading()
      var token: String?
      for _ in 0..<EC2Discovery.longest {
        let page = try EC2Page(try await client.bytes(form: question(token: token)))
        reading.add(page.instances)
        token = page.nextToken
        if token == nil { return reading }
      }
      throw RegistryError.unexpected("more than \(EC2Discovery.longest) pages of instances")
    }
    return PollWatcher(every: interval, of: [part], environment: environment)
  }

  /// Pages of at most a thousand instances that are read.
  private static let longest = 100

  /// The question for one page of running instances that have the tag.
  private func question(token: String?) -> [(name: String, value: String)] {
    var fields = [
      (name: "Action", value: "DescribeInstances"), ("Version", "2016-11-15"), ("MaxResults", "1000"),
      ("Filter.1.Name", "tag:\(tagName)"), ("Filter.1.Value.1", tagValue),
      ("Filter.2.Name", "instance-state-name"), ("Filter.2.Value.1", "running"),
    ]
    if let token { fields.append(("NextToken", token)) }
    return fields
  }
}

extension RegistryReading {
  /// Instances as servers; the port is the service's override, whatever stands here.
  fileprivate mutating func add(_ instances: [EC2Page.Instance]) {
    for instance in instances {
      guard ServerText.isAddress(instance.address) else {
        skipped["instance \(instance.id)"] = "it has no private address"
        continue
      }
      let name = ServerText.isName(instance.name) ? instance.name : nil
      backends.append(Backend(name: name, host: instance.address, port: 1))
    }
  }
}

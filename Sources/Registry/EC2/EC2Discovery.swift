internal import Reactor
internal import SmartStack
public import YAMLConfig

/// A `discovery` section with method ec2tag.
public struct EC2Discovery: DiscoverySettings {
  /// `tag_name`: the tag's name.
  public var tagName: String
  /// `tag_value`: the tag's value, exactly.
  public var tagValue: String
  /// `aws_region`: the region that is asked.
  public var region: String
  /// `aws_access_key_id` and `aws_secret_access_key`, or the environment's.
  public var credentials: AWSCredentials
  /// `aws_endpoint`; the region's own unless given.
  public var address: WebAddress
  /// `check_interval`: the time between two questions.
  public var interval: Duration = .seconds(15)

  /// Decodes a section with method ec2tag.
  public init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    if !source.hasPortOverride {
      throw section.node.error("ec2tag knows no ports: the service needs a backend_port_override")
    }
    region = try EC2Discovery.given("aws_region", or: "AWS_REGION", in: source) ?? "us-east-1"
    guard ServerText.isDNSName("\(region).x"), !region.contains(".") else {
      throw section.error(at: "aws_region", "'\(region)' is not a region")
    }
    guard let id = try EC2Discovery.given("aws_access_key_id", or: "AWS_ACCESS_KEY_ID", in: source),
      let secret = try EC2Discovery.given("aws_secret_access_key", or: "AWS_SECRET_ACCESS_KEY", in: source)
    else {
      throw section.node.error(
        "no credentials: aws_access_key_id and aws_secret_access_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in "
          + "the environment; an instance's own profile is not asked in this version")
    }
    let token = try EC2Discovery.given("aws_session_token", or: "AWS_SESSION_TOKEN", in: source)
    credentials = AWSCredentials(keyID: id, secret: secret, sessionToken: token)
    let endpoint = try section.string("aws_endpoint", default: "https://ec2.\(region).amazonaws.com/")
    guard let address = WebAddress(endpoint), address.target == "/" else {
      throw section.error(at: "aws_endpoint", "'\(endpoint)' is not an http:// or https:// address of a host alone")
    }
    self.address = address
    tagName = try section.string("tag_name")
    tagValue = try section.string("tag_value")
    interval = try source.interval(default: interval)
  }

  private static func given(
    _ key: String, or variable: String, in source: DiscoverySource
  ) throws(ConfigError) -> String? {
    let given = try source.section.optionalString(key) ?? source.environment[variable]
    guard let text = given, !text.isEmpty else { return nil }
    guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
      throw source.section.error(at: key, "holds blanks or control characters")
    }
    return text
  }

  /// The region and the tag.
  public var place: String { "ec2 \(region) \(tagName)=\(tagValue)" }

  /// A watcher that asks for the instances at intervals.
  @LoopActor public func makeWatcher(
    in environment: WatchEnvironment, filters: [LabelFilter]
  ) -> any RegistryWatcher {
    PollWatcher(
      every: interval, of: [EC2Instances.part(self, clock: environment.clock)], environment: environment,
      policy: environment.policy(for: .servers, with: filters))
  }
}

/// Running instances that have one tag.
enum EC2Instances {
  /// Pages of at most a thousand instances that are read.
  private static let longest = 100

  @LoopActor static func part(_ discovery: EC2Discovery, clock: LoopClock) -> PolledPart {
    PolledPart(place: "\(discovery.address) \(discovery.tagName)=\(discovery.tagValue)") {
      var reading = RegistryReading()
      var token: String?
      for _ in 0..<longest {
        let request = request(discovery, token: token, unixTime: clock.unixTime)
        let page = try EC2Page(try await RegistryAnswer.bytes(request))
        reading.add(page.instances)
        token = page.nextToken
        if token == nil { return reading }
      }
      throw RegistryError.unexpected("more than \(longest) pages of instances")
    }
  }

  /// One page's request, signed.
  static func request(_ discovery: EC2Discovery, token: String?, unixTime: Double) -> HTTPRequest {
    var fields = [
      ("Action", "DescribeInstances"), ("Version", "2016-11-15"), ("MaxResults", "1000"),
      ("Filter.1.Name", "tag:\(discovery.tagName)"), ("Filter.1.Value.1", discovery.tagValue),
      ("Filter.2.Name", "instance-state-name"), ("Filter.2.Value.1", "running"),
    ]
    if let token { fields.append(("NextToken", token)) }
    let body = fields.map { "\($0)=\(RequestSignature.escaped($1))" }.joined(separator: "&")
    var host = discovery.address.endpoint.description
    if case .tcp(let name, let port) = discovery.address.endpoint, port == (discovery.address.tls == nil ? 80 : 443) {
      host = name
    }
    let signature = RequestSignature(credentials: discovery.credentials, region: discovery.region, service: "ec2")
    let headers = signature.headers(
      method: "POST", headers: ["host": host, "content-type": "application/x-www-form-urlencoded; charset=utf-8"],
      body: Array(body.utf8), unixTime: unixTime)
    return HTTPRequest(
      method: "POST", endpoint: discovery.address.endpoint, tls: discovery.address.tls, target: "/", headers: headers,
      body: Array(body.utf8))
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

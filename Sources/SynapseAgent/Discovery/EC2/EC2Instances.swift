internal import Reactor
internal import SmartStack

/// A `discovery` section with method ec2tag.
public struct EC2Discovery: Hashable, Sendable {
  /// `tag_name`
  public var tagName: String
  /// `tag_value`
  public var tagValue: String
  /// `aws_region`
  public var region: String
  /// `aws_access_key_id` and `aws_secret_access_key`, or the environment's.
  public var credentials: AWSCredentials
  /// `aws_endpoint`; the region's own unless given.
  public var address: WebAddress
  /// `check_interval`
  public var interval: Duration = .seconds(15)
}

/// Running instances that have one tag.
enum EC2Instances {
  /// Pages of at most a thousand instances that are read.
  private static let longest = 100

  @LoopActor static func part(_ discovery: EC2Discovery, clock: LoopClock) -> PolledPart {
    PolledPart(place: "\(discovery.address) \(discovery.tagName)=\(discovery.tagValue)") {
      var reading = PartReading()
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

extension PartReading {
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

/// One page of an answer to DescribeInstances.
struct EC2Page: Equatable, Sendable {
  /// As far as it matters here; what is not told is empty.
  struct Instance: Equatable, Sendable {
    var id = ""
    /// `privateDnsName`
    var name = ""
    /// `privateIpAddress`
    var address = ""
    var state = ""
  }

  /// The running ones, in the answer's order.
  var instances: [Instance] = []
  /// Of the page to follow; nil: this is the last one.
  var nextToken: String?

  /// - Throws: ``RegistryError`` for anything but a whole answer.
  init(_ bytes: [UInt8]) throws(RegistryError) {
    let root = ["DescribeInstancesResponse"]
    let item = root + ["reservationSet", "item", "instancesSet", "item"]
    var current: Instance?
    var found: [Instance] = []
    var token: String?
    var hasRoot = false
    let isWhole = XMLElements.read(bytes) { event, path, text in
      switch (event, path.count) {
      case (.begin, 1): hasRoot = path == root
      case (.begin, item.count) where path == item: current = Instance()
      case (.end, item.count) where path == item:
        if let instance = current, instance.state == "running" { found.append(instance) }
        current = nil
      case (.end, item.count + 1) where path.dropLast() == item[...]:
        switch path.last {
        case "instanceId": current?.id = text
        case "privateDnsName": current?.name = text
        case "privateIpAddress": current?.address = text
        default: break
        }
      case (.end, item.count + 2) where path == item + ["instanceState", "name"]: current?.state = text
      case (.end, 2) where path == root + ["nextToken"]: token = text.isEmpty ? nil : text
      default: break
      }
    }
    guard isWhole, hasRoot else { throw .unexpected("\(bytes.count) bytes that are no list of instances") }
    (instances, nextToken) = (found, token)
  }
}

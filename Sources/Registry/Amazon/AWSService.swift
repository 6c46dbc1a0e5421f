internal import SmartStack
internal import YAMLConfig

/// The keys to an Amazon account.
struct AWSCredentials: Hashable, Sendable {
  /// The value of `AWS_ACCESS_KEY_ID`.
  var keyID: String
  /// The value of `AWS_SECRET_ACCESS_KEY`; never logged.
  var secret: String
  /// `AWS_SESSION_TOKEN`, of temporary credentials.
  var sessionToken: String?
}

/// One of Amazon's services, and the account that queries it.
struct AWSService: Hashable, Sendable {
  /// Its name in addresses and signatures: `ec2`, `s3`.
  var name: String
  /// `aws_region`: the region that is asked.
  var region: String
  /// `aws_access_key_id` and `aws_secret_access_key`, or the environment's; nil: those of this instance's profile.
  var credentials: AWSCredentials?
  /// `aws_endpoint`; the region's own unless given.
  var address: WebAddress
  /// The instance's metadata service, for the credentials of its profile.
  var metadata: WebAddress

  /// Decodes the keys of a section that all services share.
  init(_ name: String, in section: ConfigSection, environment: [String: String]) throws(ConfigError) {
    func given(_ key: String, or variable: String) throws(ConfigError) -> String? {
      guard let text = try section.optionalString(key) ?? environment[variable], !text.isEmpty else { return nil }
      guard text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
        throw section.error(at: key, "holds blanks or control characters")
      }
      return text
    }
    func address(_ text: String) -> WebAddress? { WebAddress(text).flatMap { $0.target == "/" ? $0 : nil } }
    self.name = name
    region = try given("aws_region", or: "AWS_REGION") ?? "us-east-1"
    guard ServerText.isDNSName("\(region).x"), !region.contains(".") else {
      throw section.error(at: "aws_region", "'\(region)' is not a region")
    }
    let id = try given("aws_access_key_id", or: "AWS_ACCESS_KEY_ID")
    let secret = try given("aws_secret_access_key", or: "AWS_SECRET_ACCESS_KEY")
    let token = try given("aws_session_token", or: "AWS_SESSION_TOKEN")
    if let id, let secret {
      credentials = AWSCredentials(keyID: id, secret: secret, sessionToken: token)
    } else if id != nil || secret != nil || environment["AWS_EC2_METADATA_DISABLED"]?.lowercased() == "true" {
      throw section.node.error(
        "no credentials: aws_access_key_id and aws_secret_access_key belong together, as do AWS_ACCESS_KEY_ID and "
          + "AWS_SECRET_ACCESS_KEY in the environment; without any the instance's profile is used, unless "
          + "AWS_EC2_METADATA_DISABLED is true")
    }
    let endpoint = try section.string("aws_endpoint", default: "https://\(name).\(region).amazonaws.com/")
    guard let service = address(endpoint) else {
      throw section.error(at: "aws_endpoint", "'\(endpoint)' is not an http:// or https:// address of a host alone")
    }
    let place = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] ?? "http://169.254.169.254/"
    guard let metadata = address(place) else {
      throw section.node.error(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT '\(place)' is not the http:// address of a host alone")
    }
    (self.address, self.metadata) = (service, metadata)
  }
}

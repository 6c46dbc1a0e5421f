import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Registry

@Suite("requests to Amazon", .timeLimit(.minutes(2 * patience))) @LoopActor struct AWSClientTests {
  /// A metadata service and a bucket at one address.
  @LoopActor private final class Amazon {
    var role = "first"
    var asked: [String] = []
    var accepted = "first"
    private(set) var address = ""
    private var listener: HTTPListener?

    func start() throws {
      let listener = HTTPListener { [unowned self] exchange in
        asked.append("\(exchange.method) \(exchange.target)")
        let (status, text) = answer(exchange)
        exchange.respond(status: status, text: text)
      }
      self.listener = listener
      address = "http://\(try listener.listen(on: .tcp(host: "127.0.0.1", port: 0)))"
    }

    private func answer(_ exchange: HTTPExchange) -> (Int, String) {
      let roles = "/latest/meta-data/iam/security-credentials/"
      switch exchange.target {
      case "/latest/api/token":
        let isAsked = exchange.method == "PUT" && exchange.header("x-aws-ec2-metadata-token-ttl-seconds") != nil
        return isAsked ? (200, "the-token") : (400, "")
      case roles, roles + role:
        guard exchange.header("x-aws-ec2-metadata-token") == "the-token" else { return (401, "") }
        if exchange.target == roles { return (role.isEmpty ? 404 : 200, role + "\n") }
        return (200, #"{"Code": "Success", "AccessKeyId": "\#(role)", "SecretAccessKey": "s", "Token": "of-\#(role)"}"#)
      default:
        let isKnown =
          exchange.header("authorization")?.contains("Credential=\(accepted)/") == true
          && exchange.header("x-amz-security-token") == "of-\(accepted)"
        let complaint =
          "<?xml version=\"1.0\"?>\n<Error>\n <Code>InvalidAccessKeyId</Code><Message>The key is unknown.</Message></Error>"
        return isKnown ? (200, "weights") : (403, complaint)
      }
    }
  }

  private func service(_ yaml: String, environment: [String: String] = [:]) throws -> AWSService {
    let root = try YAMLDocument(Array(yaml.utf8), file: "s").root
    return try AWSService("s3", in: ConfigSection(root), environment: environment)
  }

  @Test func aProfilesKeysAreReadAgainAfterFourMinutesOrARefusal() async throws {
    let amazon = Amazon()
    try amazon.start()
    let clock = LoopClock.manual()
    let client = AWSClient(
      try service(
        "{aws_endpoint: \"\(amazon.address)\"}", environment: ["AWS_EC2_METADATA_SERVICE_ENDPOINT": amazon.address]),
      clock: clock)
    let keys = [
      "PUT /latest/api/token", "GET /latest/meta-data/iam/security-credentials/",
      "GET /latest/meta-data/iam/security-credentials/first",
    ]
    #expect(try await client.bytes(path: "/b/k") == Array("weights".utf8))
    clock.advance(by: .seconds(200))
    _ = try await client.bytes(path: "/b/k")
    #expect(amazon.asked == keys + ["GET /b/k", "GET /b/k"])
    clock.advance(by: .seconds(50))
    _ = try await client.bytes(path: "/b/k")
    #expect(amazon.asked == keys + ["GET /b/k", "GET /b/k"] + keys + ["GET /b/k"])
    (amazon.role, amazon.accepted) = ("second", "second")
    let refusal = try await #require(throws: RegistryError.self) { try await client.bytes(path: "/b/k") }
    #expect(refusal.description == "the answer is HTTP 403: InvalidAccessKeyId: The key is unknown.")
    #expect(try await client.bytes(path: "/b/k") == Array("weights".utf8))
    amazon.role = ""
    clock.advance(by: .seconds(300))
    let failure = try await #require(throws: OperatorError.self) { try await client.bytes(path: "/b/k") }
    #expect(
      failure.description
        == "no credentials: neither the configuration nor the environment has any, and the instance's "
        + "metadata service at \(amazon.address) gives none: the answer is HTTP 404")
  }

  @Test func credentialsOfTheConfigurationPrecedeThoseOfTheEnvironment() throws {
    let variables = ["AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "F", "AWS_REGION": "eu-west-1"]
    #expect(try service("{}").credentials == nil)
    #expect(try service("{}", environment: variables).credentials == AWSCredentials(keyID: "E", secret: "F"))
    let own = try service("{aws_access_key_id: A, aws_secret_access_key: B}", environment: variables)
    #expect(own.credentials == AWSCredentials(keyID: "A", secret: "B"))
    #expect(own.address.description == "https://s3.eu-west-1.amazonaws.com/")
  }

  @Test(
    "a wrong account is refused",
    arguments: [
      "{aws_access_key_id: A}", "{aws_region: a.b}", "{aws_endpoint: \"ftp://x\"}", "{aws_endpoint: \"http://x/y\"}",
      "{aws_access_key_id: A B, aws_secret_access_key: C}",
    ])
  func badAccounts(_ text: String) {
    #expect(throws: ConfigError.self) { try service(text) }
    #expect(throws: ConfigError.self) { try service("{}", environment: ["AWS_EC2_METADATA_DISABLED": "TRUE"]) }
  }

  @Test(
    "an object's address",
    arguments: [
      ("s3://b/k", "/b/k"), ("s3://my.bucket/a b/ü", "/my.bucket/a%20b/%C3%BC"), ("s3://b/a//k", "/b/a//k"),
      ("s3://b", nil), ("s3:///k", nil), ("s3://b/", nil), ("s3://b c/k", nil), ("s3://../k", nil),
    ] as [(String, String?)])
  func addresses(_ text: String, _ path: String?) throws {
    let root = try YAMLDocument(
      Array("{method: s3_toggle, s3_url: \"\(text)\", s3_polling_interval_seconds: 1}".utf8), file: "s"
    ).root
    let resolver = try? MultiResolver(ConfigSection(root), parts: ["primary"], environment: [:])
    guard case .toggle(let toggle) = resolver, case .object(_, let found) = toggle.source else {
      #expect(path == nil)
      return
    }
    #expect(found == path)
    #expect(toggle.place == text)
  }
}

import Glibc
public import Reactor

/// PyPI's `moto`, which plays Amazon's interfaces, on a port of 127.0.0.1.
@LoopActor public final class MotoServer {
  private nonisolated static let path: String = {
    let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
    return "/\(root)/.build/python-tools/moto/bin/moto_server"
  }()

  /// Whether `make peers` has installed it.
  public nonisolated static var isInstalled: Bool { access(path, X_OK) == 0 }

  /// Where it listens, once it does.
  public private(set) var port = 0
  private let directory = TemporaryDirectory()
  private var child: ChildProcess?

  /// Nothing runs yet.
  public init() {}

  isolated deinit { child?.kill() }

  /// Starts it; returns when it answers.
  public func start() async throws {
    port = try freePort()
    let log = directory.path + "/log"
    let running = try ChildProcess.start(
      "/usr/bin/setpriv",
      arguments: ["--pdeathsig", "KILL", MotoServer.path, "-H", "127.0.0.1", "-p", "\(port)"],
      log: log)
    child = running
    try await eventually("moto answers", within: .seconds(120)) {
      if let status = running.status {
        let said = (try? Files.read(log, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        throw ServerTrouble(description: "moto ended (\(status)): \(said)")
      }
      return (try? await self.ask("Action=DescribeRegions")) != nil
    }
  }

  /// Instances that run and have a tag `role`.
  /// - Returns: their ids.
  public func launch(count: Int, role: String) async throws -> [String] {
    let tag = "TagSpecification.1.Tag.1"
    let text = try await ask(
      "Action=RunInstances&ImageId=ami-12c6146b&MinCount=\(count)&MaxCount=\(count)"
        + "&TagSpecification.1.ResourceType=instance&\(tag).Key=role&\(tag).Value="
        + role.split(separator: " ").joined(separator: "+"))
    return text.split(separator: "<instanceId>").dropFirst().map { String($0.prefix { $0 != "<" }) }
  }

  /// Ends an instance.
  public func terminate(_ id: String) async throws { _ = try await ask("Action=TerminateInstances&InstanceId.1=\(id)") }

  /// Ends the server.
  public func stop() async {
    child?.kill()
    _ = try? await child?.wait()
    child = nil
  }

  /// A user who may do everything.
  public func makeUser() async throws -> (keyID: String, secret: String) {
    _ = try await ask("Action=CreateUser&UserName=synapse", of: "iam")
    let policy =
      "%7B%22Version%22:%222012-10-17%22,%22Statement%22:%7B%22Effect%22:%22Allow%22,"
      + "%22Action%22:%22*%22,%22Resource%22:%22*%22%7D%7D"
    _ = try await ask("Action=PutUserPolicy&UserName=synapse&PolicyName=all&PolicyDocument=\(policy)", of: "iam")
    let text = try await ask("Action=CreateAccessKey&UserName=synapse", of: "iam")
    func field(_ name: String) -> String {
      text.split(separator: "<\(name)>").dropFirst().first.map { String($0.prefix { $0 != "<" }) } ?? ""
    }
    return (field("AccessKeyId"), field("SecretAccessKey"))
  }

  /// From now on refuses what a user has not signed.
  public func requireSignatures() async throws { _ = try await send("POST", "/moto-api/reset-auth", "0") }

  /// Writes an object of S3, in a bucket that is made unless it is there; before ``requireSignatures()``.
  /// - Parameter path: escaped, `/bucket/key`.
  public func put(_ text: String, at path: String) async throws {
    let account = HTTPHeader(name: "Authorization", value: MotoServer.account(of: "s3"))
    let bucket = "/" + path.dropFirst().prefix { $0 != "/" }
    _ = try await send("PUT", bucket, "", [account])
    _ = try await send("PUT", path, text, [account])
  }

  private nonisolated static func account(of service: String) -> String {
    "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/\(service)/aws4_request, SignedHeaders=host, Signature=0"
  }

  private func ask(_ form: String, of service: String = "ec2") async throws -> String {
    let version = service == "ec2" ? "2016-11-15" : "2010-05-08"
    let region = service == "ec2" ? "eu-west-1." : ""
    return try await send(
      "POST", "/", form + "&Version=\(version)",
      [
        HTTPHeader(name: "Host", value: "\(service).\(region)amazonaws.com"),
        HTTPHeader(name: "Content-Type", value: "application/x-www-form-urlencoded"),
        HTTPHeader(name: "Authorization", value: MotoServer.account(of: service)),
      ])
  }

  private func send(
    _ method: String, _ path: String, _ body: String, _ headers: [HTTPHeader] = []
  ) async throws -> String {
    let response = try await HTTPClient.send(
      HTTPRequest(
        method: method, endpoint: .tcp(host: "127.0.0.1", port: port), target: path, headers: headers,
        body: Array(body.utf8)), deadline: .seconds(60))
    let text = String(decoding: response.body, as: UTF8.self)
    guard response.status == 200 else { throw ServerTrouble(description: "moto: HTTP \(response.status) \(text)") }
    return text
  }
}

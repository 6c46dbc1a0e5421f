import Glibc
public import Reactor

/// PyPI's `moto`, which plays Amazon's interfaces, on a port of 127.0.0.1.
@LoopActor public final class MotoServer {
  private nonisolated static let path: String? = {
    let folders = getenv("PATH").map { String(cString: $0).split(separator: ":").map(String.init) } ?? []
    return folders.map { $0 + "/moto_server" }.first { access($0, X_OK) == 0 }
  }()

  /// Whether it is somewhere in `PATH`.
  public nonisolated static var isInstalled: Bool { path != nil }

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
      arguments: ["--pdeathsig", "KILL", MotoServer.path ?? "moto_server", "-H", "127.0.0.1", "-p", "\(port)"],
      output: .append(path: log))
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

  private func ask(_ form: String) async throws -> String {
    let account =
      "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/ec2/aws4_request, SignedHeaders=host, Signature=0"
    let response = try await HTTPClient.send(
      HTTPRequest(
        method: "POST", endpoint: .tcp(host: "127.0.0.1", port: port), target: "/",
        headers: [
          HTTPHeader(name: "Host", value: "ec2.eu-west-1.amazonaws.com"),
          HTTPHeader(name: "Content-Type", value: "application/x-www-form-urlencoded"),
          HTTPHeader(name: "Authorization", value: account),
        ], body: Array((form + "&Version=2016-11-15").utf8)), deadline: .seconds(60))
    let text = String(decoding: response.body, as: UTF8.self)
    guard response.status == 200 else { throw ServerTrouble(description: "moto: HTTP \(response.status) \(text)") }
    return text
  }
}

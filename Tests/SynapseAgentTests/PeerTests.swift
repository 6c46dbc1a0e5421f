import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// Discovery from programs that others wrote. They are large, and not everywhere: where one is missing its test is
/// skipped, and says so.
@Suite("real peers", .timeLimit(.minutes(4 * patience))) @LoopActor struct PeerTests {
  @Test(
    .enabled(if: PodmanServer.isInstalled, "needs root, and podman, runc and busybox-static from Debian"))
  func containersOfPodman() async throws {
    let podman = PodmanServer()
    try await podman.start()
    let watched = try WatchedService(
      """
      discovery: {method: docker, image_name: localhost/local/web, container_port: 80, check_interval: 0.2,
        servers: [{name: one, host: 10.0.0.1, socket: "\(podman.socketPath)"}]}
      haproxy: {}
      """)
    let first = try await podman.run(publishing: 31_000)
    try await watched.publishes(["one_10.0.0.1:31000"])
    let second = try await podman.run(publishing: 31_001)
    try await watched.publishes(["one_10.0.0.1:31000", "one_10.0.0.1:31001"])
    try await podman.remove(first)
    try await watched.publishes(["one_10.0.0.1:31001"])
    try await podman.remove(second)
    try await watched.logs("no registrations, previous servers kept")
    let before = watched.servers
    #expect(before?.contains("one_10.0.0.1:31001") == true)
    await podman.stop()
    try await watched.logs("registry query failed, last answer kept")
    #expect(watched.servers == before)
    try await watched.stop()
  }

  @Test(.enabled(if: MotoServer.isInstalled, "needs moto: make peers"))
  func signedRequestsToMoto() async throws {
    let moto = MotoServer()
    try await moto.start()
    // moto signs other texts than those that were sent if they have escapes.
    _ = try await moto.launch(count: 2, role: "web")
    _ = try await moto.launch(count: 1, role: "other")
    try await moto.put("primary: 0\nother: 1\n", at: "/weights/of/all.yaml")
    let user = try await moto.makeUser()
    try await moto.requireSignatures()
    let account = """
      aws_region: eu-west-1, aws_access_key_id: \(user.keyID), aws_endpoint: "http://127.0.0.1:\(moto.port)"
      """
    let watched = try WatchedService(
      """
      discovery: {method: ec2tag, tag_name: role, tag_value: web, check_interval: 0.2, \(account),
        aws_secret_access_key: "\(user.secret)"}
      haproxy: {server_port_override: 8080}
      """)
    try await eventually("both instances are served: \(watched.servers ?? [])\n\(watched.journal.text)") {
      watched.servers?.count == 2
    }
    #expect(watched.servers?.allSatisfy { $0.hasPrefix("ip-") && $0.hasSuffix(":8080") } == true)

    let toggled = try toggled("of/all.yaml", by: account + ", aws_secret_access_key: \"\(user.secret)\"")
    try await toggled.publishes(["10.0.0.2:2"])
    try await toggled.stop()
    let forged = try self.toggled("of/all.yaml", by: account + ", aws_secret_access_key: wrong")
    try await forged.logs("watcher weights rejected, active watcher kept path=s3://weights/of/all.yaml")
    try await forged.logs("the answer is HTTP 403: SignatureDoesNotMatch: The request signature we calculated")
    #expect(forged.servers == ["10.0.0.1:1"])
    try await forged.stop()
    try await watched.stop()
    await moto.stop()
  }

  @Test(.enabled(if: MotoServer.isInstalled, "needs moto: make peers"))
  func anInstancesProfileOfMoto() async throws {
    let moto = MotoServer()
    try await moto.start()
    let web = try await moto.launch(count: 2, role: "web")
    try await moto.put("{primary: 0, other: 1}", at: "/weights/all%20of/%C3%BC%2Bx.yaml")
    let address = "http://127.0.0.1:\(moto.port)"
    let environment = ["AWS_EC2_METADATA_SERVICE_ENDPOINT": address, "AWS_REGION": "eu-west-1"]
    let watched = try WatchedService(
      """
      discovery: {method: ec2tag, tag_name: role, tag_value: web, check_interval: 0.2, aws_endpoint: "\(address)"}
      haproxy: {server_port_override: 8080}
      """, environment: environment)
    try await eventually("both instances are served: \(watched.servers ?? [])\n\(watched.journal.text)") {
      watched.servers?.count == 2
    }
    try await moto.terminate(web[0])
    try await eventually("one is left") { watched.servers?.count == 1 }
    let toggled = try toggled("all of/ü+x.yaml", by: "aws_endpoint: \"\(address)\"", environment: environment)
    try await toggled.publishes(["10.0.0.2:2"])
    try await toggled.stop()
    try await watched.stop()
    await moto.stop()
  }

  /// One server of its own, and another one if the weights are read.
  private func toggled(_ key: String, by keys: String, environment: [String: String] = [:]) throws -> WatchedService {
    try WatchedService(
      """
      discovery: {method: dns, servers: [{host: 10.0.0.1, port: 1}]}
      discovery_multi:
        watchers: {other: {method: dns, servers: [{host: 10.0.0.2, port: 2}]}}
        resolver: {method: s3_toggle, s3_url: "s3://weights/\(key)", s3_polling_interval_seconds: 0.1, \(keys)}
      """, environment: environment)
  }
}

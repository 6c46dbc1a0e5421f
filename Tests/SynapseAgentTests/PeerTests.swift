import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import SynapseAgent

/// Discovery from programs that others wrote. They are large, and not everywhere: where one is missing its test is
/// skipped, and says so.
@Suite("real peers", .timeLimit(.minutes(4))) @LoopActor struct PeerTests {
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

  @Test(.enabled(if: MotoServer.isInstalled, "needs moto_server: pip install 'moto[server]'"))
  func instancesOfMoto() async throws {
    let moto = MotoServer()
    try await moto.start()
    let web = try await moto.launch(count: 2, role: "web server")
    _ = try await moto.launch(count: 1, role: "other")
    let watched = try WatchedService(
      """
      discovery: {method: ec2tag, tag_name: role, tag_value: web server, aws_region: eu-west-1, check_interval: 0.2,
        aws_access_key_id: AKID, aws_secret_access_key: secret, aws_endpoint: "http://127.0.0.1:\(moto.port)"}
      haproxy: {server_port_override: 8080}
      """)
    try await eventually("both instances are served: \(watched.servers ?? [])\n\(watched.journal.text)") {
      watched.servers?.count == 2
    }
    #expect(watched.servers?.allSatisfy { $0.hasPrefix("ip-") && $0.hasSuffix(":8080") } == true)
    try await moto.terminate(web[0])
    try await eventually("one is left") { watched.servers?.count == 1 }
    try await watched.stop()
    await moto.stop()
  }
}

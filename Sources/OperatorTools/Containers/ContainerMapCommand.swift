internal import ArgumentParser
internal import Reactor
internal import Registry
internal import SmartStack

/// `generate_container_ip_map`: the file that names the clients of HAProxy's scripts; for a timer.
struct ContainerMapCommand: AsyncParsableCommand {
  /// The command line: upstream's, and two options more.
  static let configuration = CommandConfiguration(
    commandName: "generate_container_ip_map",
    abstract: "Write which task each container's address belongs to, for the plugins logging and source_required.",
    discussion: """
      For a timer. Exit status: 0 success; 1 the containers could not be listed or the file not be written, which then \
      stays as it is.
      """,
    version: "generate_container_ip_map \(Release.version)")

  @Flag(
    name: [.customShort("U"), .long],
    help: "Accepted without effect: HAProxy's scripts read the file again by themselves.")
  private var updateHaproxy = false
  @Option(
    name: [.customShort("T"), .long],
    help: ArgumentHelp("Accepted without effect, as --update-haproxy.", valueName: "s"))
  private var haproxyTimeout = 1
  @Flag(name: .customLong("k8s"), help: "List the pods of this host's kubelet, not Docker's containers.")
  private var listsPods = false
  @Option(help: ArgumentHelp("Address of the kubelet's read-only port.", valueName: "url"))
  private var kubelet = "http://169.254.255.254:10255"
  @Option(help: ArgumentHelp("Socket of the Docker daemon.", valueName: "path"))
  private var dockerSocket = "/var/run/docker.sock"
  @Argument(help: ArgumentHelp("File to write, a line ADDRESS TASK each.", valueName: "file"))
  private var mapFile = "/var/run/synapse/maps/ip_to_service.map"

  /// Writes the file once, unless it is the same already.
  func run() async throws {
    let map = listsPods ? ContainerMap(pods: try await pods()) : ContainerMap(containers: try await containers())
    guard let map else { throw OperatorError("the answer is not a list of \(listsPods ? "pods" : "containers")") }
    for problem in map.skipped { StandardOutput.say("skipped \(problem)\n") }
    let text = Array(map.lines.map { $0 + "\n" }.joined().utf8)
    if let old = try? Files.read(mapFile, limit: 64 << 20), old == text { return }
    try Files.write(text, to: mapFile, mode: 0o644, sync: false)
  }

  private func containers() async throws -> JSONValue? {
    try await ask(HTTPRequest(endpoint: .unix(path: dockerSocket), target: "/containers/json"))
  }

  private func pods() async throws -> JSONValue? {
    guard let address = WebAddress(kubelet) else { throw OperatorError("'\(kubelet)' is not an http:// address") }
    return try await ask(HTTPRequest(endpoint: address.endpoint, tls: address.tls, target: "/pods/"))
  }

  private func ask(_ request: HTTPRequest) async throws -> JSONValue? {
    let answer = try await HTTPClient.send(
      request, deadline: .seconds(10), limits: HTTPClientLimits(maxBodyBytes: 64 << 20))
    guard answer.status == 200 else { throw OperatorError("\(request.endpoint) answers HTTP \(answer.status)") }
    return JSONValue(answer.body)
  }
}

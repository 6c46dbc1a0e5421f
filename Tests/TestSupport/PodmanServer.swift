import Glibc
public import Reactor

/// The Docker interface of Debian's podman at a Unix socket, in namespaces and a storage of its own, with one image,
/// `local/web`, that holds busybox. Containers run for real; what they publish is in the server's own network.
@LoopActor public final class PodmanServer {
  /// Whether this machine has what it takes.
  public nonisolated static var isInstalled: Bool {
    let programs = ["/usr/bin/podman", "/usr/sbin/runc", "/bin/busybox"]
    return getuid() == 0 && programs.allSatisfy { (path: String) in access(path, X_OK) == 0 }
  }

  private let directory = TemporaryDirectory()
  private var child: ChildProcess?
  private var containers: Set<String> = []

  /// Nothing runs yet.
  public init() {}

  isolated deinit { child?.kill() }

  /// Where its interface is.
  public nonisolated var socketPath: String { directory.path + "/podman.sock" }

  /// Starts it; returns when it answers.
  public func start() async throws {
    let path = directory.path
    try write("storage.conf", "[storage]\ndriver=\"vfs\"\ngraphroot=\"\(path)/graph\"\nrunroot=\"\(path)/run\"\n")
    try write("start", PodmanServer.script)
    let running = try ChildProcess.start(
      "/usr/bin/setpriv",
      arguments: [
        "--pdeathsig", "KILL", "/usr/bin/unshare", "--net", "--mount", "--pid", "--fork", "--kill-child",
        "--mount-proc", "/bin/sh", path + "/start", path,
      ], log: path + "/log")
    child = running
    try await eventually("podman answers\n\(self.log)", within: .seconds(120)) {
      if let status = running.status { throw ServerTrouble(description: "podman ended (\(status)):\n\(self.log)") }
      return (try? await self.ask("GET", "/_ping").status) == 200
    }
  }

  /// What podman keeps outside of its storage is hidden by empty file systems of these namespaces.
  private static let script = """
    set -eu
    cd "$1"
    export CONTAINERS_STORAGE_CONF="$1/storage.conf" HOME="$1" PATH=/usr/sbin:/usr/bin:/sbin:/bin
    mount -t tmpfs tmpfs /run
    mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni
    ip link set lo up
    mkdir -p root/bin
    cp /bin/busybox root/bin/
    tar -C root -c . | podman --cgroup-manager=cgroupfs import - local/web
    exec podman --runtime runc --cgroup-manager=cgroupfs system service --time=0 "unix://$1/podman.sock"

    """

  /// Starts a container that does nothing and publishes its port 80 at `port`.
  /// - Returns: its id.
  public func run(publishing port: Int) async throws -> String {
    let body = """
      {"Image": "localhost/local/web:latest", "Cmd": ["/bin/busybox", "sleep", "1000"], "HostConfig": \
      {"PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "\(port)"}]}}}
      """
    let made = try await ask("POST", "/v1.40/containers/create", body)
    let text = String(decoding: made.body, as: UTF8.self)
    guard made.status == 201, let start = text.firstIndex(of: ":") else { throw trouble("create", made) }
    let id = text[start...].drop { !$0.isHexDigit }.prefix { $0.isHexDigit }
    let started = try await ask("POST", "/v1.40/containers/\(id)/start")
    guard started.status == 204 else { throw trouble("start", started) }
    containers.insert(String(id))
    return String(id)
  }

  /// Ends a container at once and removes it.
  public func remove(_ id: String) async throws {
    let removed = try await ask("DELETE", "/v1.40/containers/\(id)?force=true")
    guard removed.status < 300 else { throw trouble("remove", removed) }
    containers.remove(id)
  }

  /// Ends all of it; containers first, which have control groups outside of the namespaces.
  public func stop() async {
    for id in containers { try? await remove(id) }
    child?.kill()
    _ = try? await child?.wait()
    child = nil
  }

  private func ask(_ method: String, _ target: String, _ body: String = "") async throws -> HTTPResponse {
    try await HTTPClient.send(
      HTTPRequest(
        method: method, endpoint: .unix(path: socketPath), target: target,
        headers: [HTTPHeader(name: "Content-Type", value: "application/json")], body: Array(body.utf8)),
      deadline: .seconds(60))
  }

  private func trouble(_ what: String, _ response: HTTPResponse) -> ServerTrouble {
    let words = String(decoding: response.body, as: UTF8.self)
    return ServerTrouble(description: "podman \(what): HTTP \(response.status) \(words)\n\(log)")
  }

  private var log: String {
    (try? Files.read(directory.path + "/log", limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  private func write(_ name: String, _ text: String) throws {
    try Files.write(Array(text.utf8), to: "\(directory.path)/\(name)", mode: 0o644, sync: false)
  }
}

public import Reactor

/// One dnsmasq of Debian's package `dnsmasq-base` on a port of 127.0.0.1, by UDP and TCP, that answers for names in
/// `test.` from a file alone. It dies with the tests, however they end.
@LoopActor public final class DNSServer {
  /// The same after every restart.
  public let port: Int
  /// As configuration files have it.
  public var address: String { "127.0.0.1:\(port)" }
  private let directory = TemporaryDirectory()
  private var child: ChildProcess?

  /// Nothing runs yet.
  public init() throws { port = try freePort() }

  isolated deinit { child?.kill() }

  /// Starts it and returns when it answers.
  /// - Parameters:
  ///   - hosts: addresses by name.
  ///   - services: by name the SRV records, each as `host,port,priority,weight`.
  public func start(_ hosts: [String: [String]], services: [String: [String]] = [:]) async throws {
    try write(hosts)
    let records = services.flatMap { name, values in values.map { "--srv-host=\(name),\($0)" } }
    let running = try ChildProcess.start(
      "/usr/bin/setpriv",
      arguments: [
        "--pdeathsig", "KILL", "/usr/sbin/dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
        "--port=\(port)", "--listen-address=127.0.0.1", "--bind-interfaces", "--no-resolv", "--no-hosts", "--user=root",
        "--addn-hosts=\(directory.path)/hosts", "--local=/test/", "--pid-file=", "--log-facility=-",
      ] + records, log: "\(directory.path)/out")
    child = running
    let endpoint = Endpoint.tcp(host: "127.0.0.1", port: port)
    try await eventually("dnsmasq listens on port \(port)") {
      if let status = running.status {
        let said = (try? Files.read("\(self.directory.path)/out", limit: 1 << 20)) ?? []
        throw ServerTrouble(
          description: "dnsmasq ended at once (\(status)); is it installed? \(String(decoding: said, as: UTF8.self))")
      }
      return (try? await ByteStream.connect(to: endpoint, deadline: .seconds(5))) != nil
    }
  }

  /// Other addresses from now on.
  public func change(_ hosts: [String: [String]]) throws {
    try write(hosts)
    // SIGHUP: dnsmasq reads its files of hosts again.
    child?.signal(1)
  }

  /// Ends at once.
  public func kill() async {
    child?.kill()
    _ = try? await child?.wait()
    child = nil
  }

  private func write(_ hosts: [String: [String]]) throws {
    let lines = hosts.sorted { $0.key < $1.key }.flatMap { name, addresses in addresses.map { "\($0) \(name)\n" } }
    try Files.write(
      Array(lines.joined().utf8), to: "\(directory.path)/hosts", mode: 0o644, sync: false)
  }
}

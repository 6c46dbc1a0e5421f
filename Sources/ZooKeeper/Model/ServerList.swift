internal import Reactor
public import SmartStack

/// The servers of one ensemble: in sorted order, each once, with the path below which everything stands.
///
/// Names are resolved here rather than by libzookeeper, for three reasons found in its 3.8.0: one name
/// that cannot be resolved makes it refuse all servers; it resolves on its I/O thread, at every attempt
/// to connect; and after a failed attempt it passes over a server, so that from an even number of
/// addresses it never tries every second one, and tries the others without a pause.
public struct ServerList: Hashable, Sendable, CustomStringConvertible {
  struct Server: Hashable, Sendable {
    var host: String
    var port: Int
    var endpoint: Endpoint { .tcp(host: host, port: port) }
  }

  private static let defaultPort = 2181

  let servers: [Server]
  /// The chroot, `/path` or nothing.
  let chroot: String

  /// Reads texts of the form `HOST[:PORT][/CHROOT]`, or several of them with commas between; an IPv6 address may stand
  /// in brackets. Two lists of the same servers are equal.
  /// - Throws: the first text that makes no sense, and why.
  public init(_ texts: [String]) throws(OperatorError) {
    var (servers, chroots) = (Set<Server>(), Set<String>())
    for part in texts.flatMap({ $0.split(separator: ",") }).map(\.trimmedBlanks) where !part.isEmpty {
      let slash = part.firstIndex(of: "/") ?? part.endIndex
      guard let server = ServerList.server(part[..<slash]) else {
        throw OperatorError(
          "\(part.quoted) is not a HOST[:PORT]\(part.contains("://") ? "; write it without ://" : "")")
      }
      servers.insert(server)
      if part[slash...].count > 1 { chroots.insert(String(part[slash...])) }
    }
    guard !servers.isEmpty else { throw OperatorError("names no host") }
    guard chroots.count <= 1 else {
      throw OperatorError("has different paths below the hosts: \(chroots.sorted().joined(separator: ", "))")
    }
    self.servers = servers.sorted { $0.endpoint.description < $1.endpoint.description }
    chroot = chroots.first ?? ""
    guard ServerList.isPath(chroot) else { throw OperatorError("\(chroot.quoted) is not a path of a znode") }
  }

  private static func server(_ text: Substring) -> Server? {
    // The colon of a port stands behind a bracket, or is the only one.
    let colon = text.hasSuffix("]") || ServerText.isAddress(String(text)) ? nil : text.lastIndex(of: ":")
    let port = colon.map { Int(text[text.index(after: $0)...]) } ?? defaultPort
    guard let host = ServerText.host(String(text[..<(colon ?? text.endIndex)])), let port, (1...65535).contains(port)
    else { return nil }
    return Server(host: host, port: port)
  }

  private static func isPath(_ chroot: String) -> Bool {
    let names = chroot.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
    return !names.contains { ["", ".", ".."].contains($0) } && !chroot.unicodeScalars.contains(where: \.breaksLine)
  }

  /// The list as one text, `host:port,host:port[/chroot]`.
  public var description: String { servers.map(\.endpoint.description).joined(separator: ",") + chroot }

  /// Whether both name one server, and so one ensemble.
  func shares(with other: ServerList) -> Bool { !Set(servers).isDisjoint(with: other.servers) }

  /// The short name in upstream's metric tags: the first host's first label without the digits at its end.
  public var cluster: String {
    guard let first = servers.first else { return "" }
    let label = first.host.prefix { $0 != "." }
    guard let last = label.lastIndex(where: { !("0"..."9").contains($0) }) else { return first.endpoint.description }
    return String(label[...last])
  }

  /// The numeric addresses, each as libzookeeper takes it, with the host that it was found by; names without an address are
  /// skipped.
  /// - Parameter isFresh: whether a name server is asked although its last answer still holds.
  @LoopActor func addresses(by names: NameResolver, deadline: Duration, isFresh: Bool = false) async -> [String: String]
  {
    let lookUps = servers.map { server in
      Task.immediate { @LoopActor in
        let found = try? await names.addresses(of: server.host, deadline: deadline, isFresh: isFresh)
        return (found ?? []).map { ("\($0):\(server.port)", server.host) }
      }
    }
    var found: [String: String] = [:]
    for lookUp in lookUps { found.merge(await lookUp.value) { first, _ in first } }
    return found
  }

  static func endpoint(of address: String) -> Endpoint? { server(address[...])?.endpoint }

  /// Those of `addresses` at which a ZooKeeper says that it serves clients.
  @LoopActor static func serving(among addresses: [String], deadline: Duration) async -> [String] {
    let questions = addresses.map { address in
      Task.immediate { @LoopActor in await serves(address, deadline: deadline) ? address : nil }
    }
    var found: [String] = []
    for question in questions { if let address = await question.value { found.append(address) } }
    return found
  }

  /// A server that hangs takes connections all the same, and so does one without a quorum: hence a question. It is answered
  /// also where it is not allowed, with a sentence that says so.
  @LoopActor private static func serves(_ address: String, deadline: Duration) async -> Bool {
    guard let endpoint = endpoint(of: address),
      let stream = try? await ByteStream.connect(to: endpoint, deadline: deadline)
    else { return false }
    defer { stream.close() }
    guard (try? stream.write("srvr")) != nil, let answer = try? await stream.read(upTo: 256) else { return false }
    return !answer.isEmpty && !String(decoding: answer, as: UTF8.self).hasPrefix("This ZooKeeper instance is not")
  }

  /// The list libzookeeper is given: of an odd length, see above. Which address stands there twice is
  /// left to chance, so that a fleet's connections are spread evenly; libzookeeper shuffles the rest.
  static func joined(_ addresses: [String], chroot: String) -> String {
    let spare = addresses.count.isMultiple(of: 2) ? addresses.randomElement().map { [$0] } ?? [] : []
    return (addresses + spare).joined(separator: ",") + chroot
  }
}

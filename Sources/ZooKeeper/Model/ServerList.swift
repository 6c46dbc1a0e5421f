internal import Reactor

/// The servers of a connection string, and their addresses.
///
/// Names are resolved here rather than by libzookeeper, for three reasons found in its 3.8.0: one name
/// that cannot be resolved makes it refuse all servers; it resolves on its I/O thread, at every attempt
/// to connect; and after a failed attempt it passes over a server, so that from an even number of
/// addresses it never tries every second one, and tries the others without a pause.
struct ServerList: Sendable {
  var servers: [(host: String, port: String)]
  /// The chroot, `/path` or nothing.
  var chroot: String

  /// Reads `host:port,host:port/chroot`; the default port is 2181, an IPv6 address may stand in
  /// brackets. Nil when there is no server or one makes no sense.
  init?(_ connection: String) {
    let slash = connection.firstIndex(of: "/") ?? connection.endIndex
    chroot = connection[slash...] == "/" ? "" : String(connection[slash...])
    servers = []
    for part in connection[..<slash].split(separator: ",") {
      let text = part.filter { !$0.isWhitespace }
      let colon = text.lastIndex(of: ":").flatMap { text[$0...].contains("]") ? nil : $0 }
      let host = (colon.map { text[..<$0] } ?? text[...]).filter { $0 != "[" && $0 != "]" }
      let port = colon.map { String(text[text.index(after: $0)...]) } ?? "2181"
      guard !host.isEmpty, let number = UInt16(port), number > 0 else { return nil }
      servers.append((host, port))
    }
    if servers.isEmpty { return nil }
  }

  /// The numeric addresses, sorted, each as libzookeeper takes it; names without an address are skipped.
  @LoopActor func addresses(deadline: Duration) async -> [String] {
    let lookUps = servers.map { server in
      Task.immediate { @LoopActor in
        let found = try? await NameResolver.system.addresses(of: server.host, deadline: deadline)
        return (found ?? []).map { "\($0):\(server.port)" }
      }
    }
    var found: Set<String> = []
    for lookUp in lookUps { found.formUnion(await lookUp.value) }
    return found.sorted()
  }

  /// The list libzookeeper is given: of an odd length, see above. Which address stands there twice is
  /// left to chance, so that a fleet's connections are spread evenly; libzookeeper shuffles the rest.
  static func joined(_ addresses: [String], chroot: String) -> String {
    let spare = addresses.count.isMultiple(of: 2) ? addresses.randomElement().map { [$0] } ?? [] : []
    return (addresses + spare).joined(separator: ",") + chroot
  }
}

internal import CZooKeeper
internal import Reactor

/// Servers and identity of one session.
struct SessionSettings: Sendable {
  var servers: ServerList
  var timeout: Duration
  /// A session that another process opened: it may own nodes that this one does not know.
  var resuming: SavedSession?
  /// Whether it was this process that opened it, over another handle.
  var isReopened = false
  var credentials: ZooKeeperCredentials?
  var watchBytes: Int
  var serverInterval: Duration
  /// Looks the servers' names up.
  var names: NameResolver
  /// Leads to the servers; nil: libzookeeper connects to them itself.
  var relay: TLSRelay?

  /// The numeric addresses that libzookeeper connects to, sorted; none: no name has one.
  /// - Parameter isFresh: whether a name server is asked although its last answer still holds.
  @LoopActor func addresses(deadline: Duration, isFresh: Bool = false) async -> [String] {
    let found = await servers.addresses(by: names, deadline: deadline, isFresh: isFresh)
    return relay?.addresses(of: found) ?? found.keys.sorted()
  }
}

/// Owns a `zhandle_t` from `zookeeper_init` to `zookeeper_close`.
///
/// `@unchecked Sendable`: libzookeeper's functions may be called from any thread, except that nothing may
/// be called after `close` or `abandon`; the session lets go of the handle before it calls either.
struct LibraryHandle: @unchecked Sendable {
  let pointer: OpaquePointer

  /// Nil when there is no address or libzookeeper refuses.
  init?(opening settings: SessionSettings, addresses: [String], token: Token) {
    if addresses.isEmpty { return nil }
    // libzookeeper waits a sixtieth of the timeout between two rounds over the servers, always the same
    // on every host: a little less timeout, different everywhere, keeps a fleet from moving in step.
    let milliseconds = Int32(settings.timeout / .milliseconds(1) * Double.random(in: 0.95...1))
    let list = ServerList.joined(addresses, chroot: settings.servers.chroot)
    var identity = clientid_t()
    if let saved = settings.resuming {
      identity.client_id = saved.id
      withUnsafeMutableBytes(of: &identity.passwd) { $0.copyBytes(from: saved.password.prefix($0.count)) }
    }
    let isNew = settings.resuming == nil
    let made = withUnsafePointer(to: &identity) { identity in
      zookeeper_init2(
        list, onWatch, milliseconds, isNew ? nil : identity, token.pointer, ZOO_NO_LOG_CLIENTENV, onLogLine)
    }
    guard let made else { return nil }
    pointer = made
    // The addresses are numeric: there is nothing to look up while connected.
    zoo_set_servers_resolution_delay(made, -1)
    if let credentials = settings.credentials {
      // Kept by libzookeeper and sent first on every connection.
      let secret = credentials.secret
      zoo_add_auth(made, credentials.scheme, secret, Int32(secret.utf8.count), onVoid, nil)
    }
  }

  /// Other addresses of the same ensemble.
  func setServers(_ addresses: [String]) { zoo_set_servers(pointer, ServerList.joined(addresses, chroot: "")) }

  /// The session's number and password, as the server gave them.
  var identity: SavedSession? {
    guard var identity = zoo_client_id(pointer)?.pointee else { return nil }
    return SavedSession(
      id: identity.client_id, password: withUnsafeBytes(of: &identity.passwd) { [UInt8]($0) })
  }

  /// Blocks up to about five seconds; ends the session when there is a connection.
  /// - Returns: whether the request was sent, if there is a connection.
  func close() -> Bool { zookeeper_close(pointer) == 0 }

  /// As ``close()``, without the request that ends the session: libzookeeper sends that only over a
  /// connection, and it drops the one it has when the server is not in its list any more. (It compares
  /// addresses without their ports, hence an address that nobody has.)
  func abandon() {
    zoo_set_servers(pointer, "127.255.255.254:1")
    zookeeper_close(pointer)
  }
}

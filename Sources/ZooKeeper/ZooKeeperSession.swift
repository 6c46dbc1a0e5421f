internal import CZooKeeper
internal import Glibc
internal import Logging
internal import Reactor
internal import SmartStack

/// One handle of libzookeeper, and so one session: the bottom half of ``ZooKeeperClient``.
///
/// libzookeeper reconnects by itself as long as the session may live. A session that has ended stays
/// ended; the client opens another one, with the next generation, so that an answer that was on its way
/// to the old one finds nobody.
@LoopActor final class ZooKeeperSession {
  /// What the client is told.
  enum Event {
    /// Connected, for the first time or again.
    case connected
    /// The connection is lost; libzookeeper is looking for another server.
    case disconnected
    /// The session is no more.
    case ended(ZooKeeperError.Code)
  }

  struct Settings {
    var servers: ServerList
    var timeout: Duration
    var resuming: SavedSession?
    var credentials: ZooKeeperCredentials?
    var watchBytes: Int
  }

  typealias Answer = Result<Delivery.Content, ZooKeeperError>

  /// How often the servers' names are looked up again, on average.
  private static let resolutionInterval: Duration = .seconds(60)

  private static var live: [UInt64: ZooKeeperSession] = [:]
  private static var lastGeneration: UInt64 = 0

  let generation: UInt64
  let settings: Settings
  /// Whether this is a session that somebody opened before us: it may own nodes we know nothing of.
  let isResumed: Bool
  private(set) var isConnected = false
  private(set) var isOver = false
  /// Whether the client has reported the first connection; kept by the client.
  var wasAnnounced = false
  /// ZooKeeper's number of the session; 0 before the first connection.
  private(set) var id: Int64 = 0
  private(set) var password: [UInt8] = []

  private let chroot: String
  private var addresses: [String] = []
  private var resolutionTimer: LoopTimer?
  private let metrics: ZooKeeperMetrics
  private let onEvent: @LoopActor (ZooKeeperSession, Event) -> Void
  private var handle: Handle?
  /// A state that came before ``open()`` returned with the handle.
  private var earlyState: Int32?
  private var lastNumber: UInt64 = 0
  private var replies: [UInt64: PendingReply] = [:]
  private var armed: [WatchKey: UInt64] = [:]
  private var watched: [UInt64: WatchKey] = [:]
  private var costs: [WatchKey: Int] = [:]
  var listeners: [WatchKey: Listener] = [:]
  private var budget: WatchBudget

  private struct PendingReply {
    let operation: String
    let path: String
    let continuation: CheckedContinuation<Answer, Never>
  }

  init(
    _ settings: Settings, metrics: ZooKeeperMetrics,
    onEvent: @escaping @LoopActor (ZooKeeperSession, Event) -> Void
  ) {
    Self.lastGeneration += 1
    generation = Self.lastGeneration
    self.settings = settings
    isResumed = settings.resuming != nil
    chroot = settings.servers.chroot
    budget = WatchBudget(limit: settings.watchBytes)
    self.metrics = metrics
    self.onEvent = onEvent
  }

  // MARK: Life

  /// Makes the handle, on a thread beside the loop because names are looked up.
  /// - Throws: when no name has an address, or libzookeeper refuses.
  func open() async throws(ZooKeeperError) {
    Self.live[generation] = self
    let (settings, token) = (settings, Token(generation: generation, number: 0))
    let made = try? await BlockingWork.run { () -> (Handle, [String])? in
      let addresses = settings.servers.resolve()
      return Handle(opening: settings, addresses: addresses, token: token).map { ($0, addresses) }
    }
    guard let (opened, addresses) = made ?? nil else {
      end(.unreachable)
      let hosts = settings.servers.servers.map(\.host).joined(separator: ", ")
      throw ZooKeeperError(code: .unreachable, operation: "connect", path: hosts)
    }
    guard !isOver else {
      try? await BlockingWork.run { opened.close() }
      return
    }
    handle = opened
    self.addresses = addresses
    armResolution()
    if let earlyState { handleState(earlyState) }
  }

  private func armResolution() {
    resolutionTimer = LoopClock.system.schedule(after: Self.resolutionInterval * Double.random(in: 0.5...1.5)) {
      [weak self] in
      Task.immediate { await self?.resolveAgain() }
    }
  }

  /// Names that mean other addresses by now: libzookeeper moves over when the server it has is not among
  /// them, and stays otherwise. No address at all is taken for an outage of the name service.
  private func resolveAgain() async {
    let servers = settings.servers
    let found = (try? await BlockingWork.run { servers.resolve() }) ?? []
    guard let handle, !isOver else { return }
    if !found.isEmpty, found != addresses {
      addresses = found
      handle.setServers(found)
    }
    armResolution()
  }

  /// Ends the session at the server as well; may take seconds.
  func close() async { await leave { $0.close() } }

  /// Drops the connection without a word, so that the session lives on until its timeout.
  func abandon() async { await leave { $0.abandon() } }

  private func leave(_ body: @escaping @Sendable (Handle) -> Void) async {
    end(.closed)
    guard let handle else { return }
    self.handle = nil
    try? await BlockingWork.run { body(handle) }
  }

  /// Answers everything that is still open with `code`; nothing arrives afterwards.
  func end(_ code: ZooKeeperError.Code) {
    guard !isOver else { return }
    isOver = true
    isConnected = false
    resolutionTimer?.cancel()
    Self.live[generation] = nil
    let unanswered = replies.values
    replies = [:]
    (armed, watched, costs, listeners) = ([:], [:], [:], [:])
    metrics.watches.value = 0
    for reply in unanswered {
      let error = ZooKeeperError(code: code, operation: reply.operation, path: reply.path)
      reply.continuation.resume(returning: .failure(error))
    }
  }

  // MARK: What arrives

  static func deliver(_ delivery: Delivery) { live[delivery.token.generation]?.take(delivery) }

  private func take(_ delivery: Delivery) {
    switch delivery.content {
    case .sessionState(let state): handleState(state)
    case .watchFired(let isDeletion): fire(delivery.token.number, isDeletion)
    default: answer(delivery)
    }
  }

  private func handleState(_ state: Int32) {
    guard let handle else {
      earlyState = state
      return
    }
    guard let event = Self.event(ofState: state), !isOver else { return }
    switch event {
    case .connected:
      isConnected = true
      (id, password) = handle.identity
    case .disconnected:
      isConnected = false
    case .ended(let code):
      end(code)
      // The handle is of no use any more. Freed a little later: libzookeeper leaks the answers that its
      // thread has not handed out by then.
      self.handle = nil
      LoopClock.system.schedule(after: .seconds(1)) {
        Task { try? await BlockingWork.run { handle.close() } }
      }
    }
    onEvent(self, event)
  }

  private func answer(_ delivery: Delivery) {
    guard let reply = replies.removeValue(forKey: delivery.token.number) else { return }
    guard delivery.code == 0 else {
      let code = ZooKeeperError.Code(delivery.code)
      let error = ZooKeeperError(code: code, operation: reply.operation, path: reply.path)
      reply.continuation.resume(returning: .failure(error))
      return
    }
    reply.continuation.resume(returning: .success(delivery.content))
  }

  // MARK: Requests

  /// Sends one request. Requests are pipelined: they are answered in the order of these calls.
  ///
  /// There is no cancelling: each is answered by the server, by the loss of the connection, or by the
  /// end of the session.
  func call(
    _ operation: Operation, _ path: String, _ send: (OpaquePointer, UnsafeRawPointer?) -> Int32
  ) async -> Answer {
    guard let handle, isConnected else {
      let code: ZooKeeperError.Code = isOver ? .sessionExpired : .connectionLoss
      return .failure(ZooKeeperError(code: code, operation: operation.rawValue, path: path))
    }
    metrics.requests[operation]?.increment()
    return await withCheckedContinuation { continuation in
      let number = makeNumber()
      replies[number] = PendingReply(operation: operation.rawValue, path: path, continuation: continuation)
      let code = send(handle.pointer, Token(generation: generation, number: number).pointer)
      // libzookeeper calls back only after it has accepted the request.
      guard code != 0 else { return }
      replies[number] = nil
      let error = ZooKeeperError(code: .init(code), operation: operation.rawValue, path: path)
      continuation.resume(returning: .failure(error))
    }
  }

  private func makeNumber() -> UInt64 {
    lastNumber += 1
    return lastNumber
  }

  // MARK: Watches

  /// Told that a watch fired, and whether because the node was deleted.
  typealias Listener = @LoopActor (_ isDeletion: Bool) -> Void

  /// The listener of `key` until ``ignore(_:)``; called after each change while the watch is armed.
  func listen(to key: WatchKey, _ listener: @escaping Listener) { listeners[key] = listener }

  /// Forgets the listener. The watch itself stays with the server until it fires: this library's call to
  /// remove one only checks for it.
  func ignore(_ key: WatchKey) { listeners[key] = nil }

  /// How many watches there are.
  var watchedCount: Int { costs.count }

  /// Whether a read of `key` may set a watch, as far as the budget goes.
  func mayWatch(_ key: WatchKey, for purpose: WatchBudget.Purpose) -> Bool {
    if costs[key] != nil { return true }
    let bytes = WatchBudget.cost(of: key.path, chroot: chroot)
    guard budget.admit(bytes, for: purpose) else { return false }
    costs[key] = bytes
    metrics.watches.value = Double(costs.count)
    return true
  }

  /// The watch's address: always the same one until it has fired, because libzookeeper keeps each
  /// (callback, address) once per path, and a new address per read would pile up there.
  func watchToken(_ key: WatchKey) -> UnsafeMutableRawPointer? {
    if let number = armed[key] { return Token(generation: generation, number: number).pointer }
    let number = makeNumber()
    armed[key] = number
    watched[number] = key
    return Token(generation: generation, number: number).pointer
  }

  /// The watch is not set after all: the read that was to set it was refused.
  func release(_ key: WatchKey) {
    if let number = armed.removeValue(forKey: key) { watched[number] = nil }
    if let bytes = costs.removeValue(forKey: key) { budget.release(bytes) }
    metrics.watches.value = Double(costs.count)
  }

  private func fire(_ number: UInt64, _ isDeletion: Bool) {
    guard let key = watched[number] else { return }
    release(key)
    metrics.watchEvents.increment()
    listeners[key]?(isDeletion)
  }
}

/// Owns a `zhandle_t` from `zookeeper_init` to `zookeeper_close`.
///
/// `@unchecked Sendable`: libzookeeper's functions may be called from any thread, except that nothing may
/// be called after `close` or `abandon`; the session lets go of the handle before it calls either.
struct Handle: @unchecked Sendable {
  let pointer: OpaquePointer

  /// Nil when there is no address or libzookeeper refuses.
  init?(opening settings: ZooKeeperSession.Settings, addresses: [String], token: Token) {
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
  var identity: (Int64, [UInt8]) {
    guard var identity = zoo_client_id(pointer)?.pointee else { return (0, []) }
    return (identity.client_id, withUnsafeBytes(of: &identity.passwd) { [UInt8]($0) })
  }

  /// Blocks up to about five seconds; ends the session when there is a connection.
  func close() { zookeeper_close(pointer) }

  /// As ``close()``, without the request that ends the session: libzookeeper sends that only over a
  /// connection, and it drops the one it has when the server is not in its list any more. (It compares
  /// addresses without their ports, hence an address that nobody has.)
  func abandon() {
    zoo_set_servers(pointer, "127.255.255.254:1")
    zookeeper_close(pointer)
  }
}

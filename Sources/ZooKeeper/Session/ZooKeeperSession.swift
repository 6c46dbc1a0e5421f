internal import CZooKeeper
internal import Reactor
internal import SmartStack

/// One handle of libzookeeper, and so one session: the bottom half of ``ZooKeeperClient``.
///
/// libzookeeper reconnects by itself as long as the session may live. A session that has ended stays
/// ended; the client opens another one, with the next generation, so that an answer that was on its way
/// to the old one finds nobody.
@LoopActor final class ZooKeeperSession {
  /// Change that the client is notified of.
  enum Event {
    /// Connected, for the first time or again.
    case connected
    /// The connection is lost; libzookeeper is looking for another server.
    case disconnected
    /// Servers serve others, and none takes back the session that they knew.
    case refused
    /// The session is no more.
    case ended(ZooKeeperError.Code)
  }

  typealias Answer = Result<LibraryMessage, ZooKeeperError>

  private static var lastGeneration: UInt64 = 0

  let generation: UInt64
  let settings: SessionSettings
  let watches: SessionWatches
  private(set) var isConnected = false
  private(set) var isOver = false
  /// Whether the session was left to a successor: no handle of this process must end it.
  private var isAbandoned = false
  /// Whether the client has reported the first connection; kept by the client.
  var wasAnnounced = false
  /// The session as the server gave it; nil before the first connection.
  private(set) var identity: SavedSession?

  private(set) var servers: SessionServers?
  private let metrics: ZooKeeperMetrics
  private let onEvent: @LoopActor (ZooKeeperSession, Event) -> Void
  private var handle: LibraryHandle?
  /// A state that came before ``open()`` returned with the handle.
  private var earlyState: Int32?
  private var lastNumber: UInt64 = 0
  private var replies: [UInt64: PendingReply] = [:]

  private typealias PendingReply = (operation: String, path: String, continuation: CheckedContinuation<Answer, Never>)

  init(
    _ settings: SessionSettings, metrics: ZooKeeperMetrics,
    onEvent: @escaping @LoopActor (ZooKeeperSession, Event) -> Void
  ) {
    Self.lastGeneration += 1
    generation = Self.lastGeneration
    self.settings = settings
    watches = SessionWatches(
      generation: generation, chroot: settings.servers.chroot, limit: settings.watchBytes, metrics: metrics)
    self.metrics = metrics
    self.onEvent = onEvent
  }

  /// ZooKeeper's number of the session; 0 before the first connection.
  var id: Int64 { identity?.id ?? 0 }
  /// Whether another process opened the session: it may own nodes that this one does not know.
  var isResumed: Bool { settings.resuming != nil }

  // MARK: Life

  /// Looks the names up and makes the handle, on a thread beside the loop because libzookeeper may block.
  /// - Throws: when no name has an address, or libzookeeper refuses.
  func open() async throws(ZooKeeperError) {
    Mailbox.receivers[generation] = { [self] in receive($0) }
    let (settings, token) = (settings, Token(generation: generation, number: 0))
    let addresses = await settings.addresses(deadline: SessionServers.lookUpPatience)
    if isAbandoned { return }
    let made = try? await BlockingWork.sessions.run {
      LibraryHandle(opening: settings, addresses: addresses, token: token)
    }
    guard let opened = made ?? nil else {
      end(.unreachable)
      let hosts = settings.servers.servers.map(\.host).joined(separator: ", ")
      throw ZooKeeperError(code: .unreachable, operation: "connect", path: hosts)
    }
    guard !isOver else {
      let isAbandoned = isAbandoned
      try? await BlockingWork.sessions.run { if isAbandoned { opened.abandon() } else { _ = opened.close() } }
      return
    }
    handle = opened
    servers = SessionServers(settings, handle: opened, addresses: addresses) { [weak self] in
      // A handle that was never connected has seen nothing that a server could lack.
      guard let self, identity != nil, !isOver else { return }
      onEvent(self, .refused)
    }
    if let earlyState { handleState(earlyState) }
  }

  /// Ends the session at the server as well; may take seconds.
  /// - Returns: whether a server was asked to.
  func close() async -> Bool {
    let wasConnected = isConnected
    return await leave { $0.close() } == true && wasConnected
  }

  /// Drops the connection without a word, so that the session lives on until its timeout.
  func abandon() async {
    isAbandoned = true
    _ = await leave { $0.abandon() }
  }

  private func leave<Answer: Sendable>(_ body: @escaping @Sendable (LibraryHandle) -> Answer) async -> Answer? {
    end(.closed)
    guard let handle else { return nil }
    self.handle = nil
    return try? await BlockingWork.sessions.run { body(handle) }
  }

  /// Answers everything that is still open with `code`; nothing arrives afterwards.
  func end(_ code: ZooKeeperError.Code) {
    guard !isOver else { return }
    isOver = true
    isConnected = false
    servers?.stop()
    Mailbox.receivers[generation] = nil
    let unanswered = replies.values
    replies = [:]
    watches.removeAll()
    for reply in unanswered {
      let error = ZooKeeperError(code: code, operation: reply.operation, path: reply.path)
      reply.continuation.resume(returning: .failure(error))
    }
  }

  // MARK: What arrives

  private func receive(_ delivery: Mailbox.Delivery) {
    switch delivery.content {
    case .sessionState(let state): handleState(state)
    case .watchFired(let isDeletion): watches.fire(delivery.token.number, isDeletion: isDeletion)
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
      servers?.connectionChanged(true)
      identity = handle.identity
    case .disconnected:
      isConnected = false
      servers?.connectionChanged(false)
    case .refused: break
    case .ended(let code):
      end(code)
      // The handle is of no use any more. Freed a little later: libzookeeper leaks the answers that its
      // thread has not handed out by then.
      self.handle = nil
      LoopClock.system.schedule(after: .seconds(1)) {
        Task { _ = try? await BlockingWork.sessions.run { handle.close() } }
      }
    }
    onEvent(self, event)
  }

  private func answer(_ delivery: Mailbox.Delivery) {
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
    _ operation: Operation, at path: String, send: (OpaquePointer, UnsafeRawPointer?) -> Int32
  ) async -> Answer {
    guard let handle, isConnected else {
      let code: ZooKeeperError.Code = isOver ? .sessionExpired : .connectionLoss
      return .failure(ZooKeeperError(code: code, operation: operation.rawValue, path: path))
    }
    metrics.requests[operation]?.increment()
    return await withCheckedContinuation { continuation in
      lastNumber += 1
      let number = lastNumber
      replies[number] = (operation.rawValue, path, continuation)
      let code = send(handle.pointer, Token(generation: generation, number: number).pointer)
      // libzookeeper calls back only after it has accepted the request.
      guard code != 0 else { return }
      replies[number] = nil
      let error = ZooKeeperError(code: .init(code), operation: operation.rawValue, path: path)
      continuation.resume(returning: .failure(error))
    }
  }

  /// The states of libzookeeper that the client acts on.
  private static func event(ofState state: Int32) -> Event? {
    switch state {
    case ZOO_CONNECTED_STATE: .connected
    case ZOO_CONNECTING_STATE, ZOO_ASSOCIATING_STATE, ZOO_NOTCONNECTED_STATE: .disconnected
    case ZOO_EXPIRED_SESSION_STATE: .ended(.sessionExpired)
    case ZOO_AUTH_FAILED_STATE: .ended(.authFailed)
    default: nil
    }
  }
}

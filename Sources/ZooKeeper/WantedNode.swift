internal import Glibc
internal import Logging
public import Reactor
internal import SmartStack

/// One registration that the client keeps true until it is withdrawn.
///
/// Whenever something changes, a loop of its own looks at what is wanted and at what this session is known to hold,
/// takes one step that brings the two together, and looks again until there is nothing left to do. Every step may be
/// repeated: after a lost connection the loop does not assume, it looks. Between two changes there is no task: one
/// that waits costs 3 KB, and a host may have ten thousand registrations.
@LoopActor public final class WantedNode {
  /// How far the registration is.
  public enum State: Hashable, Sendable {
    /// Not there, or not known to be there; being worked on.
    case pending
    /// There, at this path (with its digits, for the sequential modes).
    case registered(path: String)
    /// Refused; tried again at growing intervals.
    case failed(ZooKeeperError)
    /// Withdrawn and gone, or the client is closed; final.
    case withdrawn
  }

  /// How far the registration is.
  public private(set) var state: State = .pending
  /// What is wanted.
  public private(set) var registration: Registration

  private(set) var holding: Holding = .nothing
  weak var client: ZooKeeperClient?
  private let adopting: (@LoopActor (_ data: [UInt8]) -> Bool)?
  /// The bytes of the last create that was sent: what an unanswered one may have left, whatever is wanted now.
  private var attempted: [UInt8]?
  private let onChange: @LoopActor (State) -> Void
  private var isWanted = true
  /// The session ``holding`` speaks of.
  private var holdingGeneration: UInt64 = 0
  /// A watch fired or the slow timer did: ask the server about the held node.
  private var mustCheck = false
  /// The watch said that the held node was deleted.
  private var isDeleted = false
  /// The data was asked to be written again, although it is the same.
  private var mustTouch = false
  private var revision: UInt64 = 0
  private var isRunning = false
  private var timer: LoopTimer?
  private var failures = 0
  private var patience = Patience()
  private let gone = OneShotEvent<Void>()

  init(
    _ registration: Registration, client: ZooKeeperClient, adopting: (@LoopActor (_ data: [UInt8]) -> Bool)?,
    onChange: @escaping @LoopActor (State) -> Void
  ) {
    self.registration = registration
    self.client = client
    self.adopting = adopting
    self.onChange = onChange
    client.metrics.moved(from: nil, to: .pending)
  }

  /// Wants other data at the same node: written over it when it exists already.
  public func update(data: [UInt8]) {
    guard data != registration.data else { return }
    registration.data = data
    wake()
  }

  /// Writes the data once more, so that the node's time of modification says that somebody is alive.
  public func touch() {
    mustTouch = true
    wake()
  }

  /// Wants the node gone. Takes effect at once, also when a create is under way; returns when the node
  /// is gone, or the session that held it, or the client is closed. Without a connection that can take
  /// as long as the connection takes to come back.
  public func withdraw() async {
    if isWanted {
      isWanted = false
      wake()
    }
    await gone.outcome()
  }

  // MARK: What the client tells

  /// Whether the loop knows what this session holds for us.
  var isSettled: Bool { holding != .unknown }

  func begin() {
    guard client?.state != .closed else { return clientClosed() }
    isRunning = true
    Task.immediate { await run() }
  }

  /// There is a connection.
  func sessionChanged() { wake() }

  /// The session is gone, and ephemeral nodes with it.
  func sessionLost() {
    if registration.mode.isEphemeral {
      release()
      move(to: .pending)
    }
    wake()
  }

  func clientClosed() {
    timer?.cancel()
    move(to: .withdrawn)
    gone.happen()
    wake()
  }

  // MARK: The loop

  private func run() async {
    while state != .withdrawn {
      let seen = revision
      await step()
      if revision == seen { break }
    }
    isRunning = false
  }

  private func wake() {
    revision += 1
    if isRunning || state == .withdrawn { return }
    isRunning = true
    // Not at once: whoever wakes us is in the middle of something.
    Task { await run() }
  }

  private func wake(after delay: Duration) {
    timer?.cancel()
    timer = client?.clock.schedule(after: delay) { [weak self] in
      self?.mustCheck = true
      self?.wake()
    }
  }

  private func step() async {
    guard let client, let session = client.connectedSession else {
      if !isWanted, !mayExist { finish() }
      return
    }
    adjustHolding(to: session)
    do throws(ZooKeeperError) {
      if isWanted {
        try await assert(client, session)
        failures = 0
      } else {
        try await remove(client, session)
        finish()
      }
    } catch {
      failed(error, client, session)
    }
  }

  /// Whether, without a connection to ask, the node may be there: not when the session that could hold it
  /// is gone, and not when we never made it.
  private var mayExist: Bool {
    guard let client else { return false }
    guard registration.mode.isEphemeral else { return holding != .nothing }
    guard let session = client.session, !session.isOver else { return false }
    return session.generation == holdingGeneration ? holding != .nothing : session.isResumed
  }

  private func finish() {
    timer?.cancel()
    release()
    move(to: .withdrawn)
    client?.forget(self)
    gone.happen()
  }

  /// A new session holds nothing of ours unless somebody used it before us; nodes that do not go with a
  /// session are still where they were.
  private func adjustHolding(to session: ZooKeeperSession) {
    guard session.generation != holdingGeneration else { return }
    holdingGeneration = session.generation
    if registration.mode.isEphemeral {
      release()
      holding = session.isResumed ? .unknown : .nothing
    } else if case .node = holding {
      mustCheck = true
    } else {
      holding = .unknown
    }
  }

  private func failed(_ error: ZooKeeperError, _ client: ZooKeeperClient, _ session: ZooKeeperSession) {
    switch error.code {
    case .connectionLoss, .sessionExpired, .closed:
      // The client wakes us with the next connection. If that came before this answer, go on at once.
      if client.connectedSession != nil, !session.isOver { wake(after: .milliseconds(10)) }
    default:
      let delay = RetryPolicy(base: .seconds(1), limit: .seconds(60)).delay(attempt: failures)
      failures += 1
      client.logger.error(
        "cannot register", with: [.znode: registration.path, .reason: "\(error)", .delay: delay, .attempt: failures])
      move(to: .failed(error))
      wake(after: delay)
    }
  }

  private func move(to new: State) {
    guard new != state, state != .withdrawn else { return }
    client?.metrics.moved(from: state, to: new)
    state = new
    onChange(new)
  }

  // MARK: Steps

  private func assert(_ client: ZooKeeperClient, _ session: ZooKeeperSession) async throws(ZooKeeperError) {
    if isDeleted, let heldPath { lost(heldPath) }
    if holding == .unknown, registration.mode.isSequential { try await lookForOwn(client, session) }
    if isWanted, heldPath == nil {
      let pause = patience.pause(now: client.clock.now)
      if pause > .zero { return wake(after: pause) }
      try await make(client, session)
    }
    if case .node(let path, _, let data) = holding, isWanted, data != registration.data || mustTouch {
      try await write(path, session)
    }
    guard let path = heldPath, isWanted, client.connectedSession === session else { return }
    // Reported before the watch is set: that is one more round trip nobody has to wait for.
    move(to: .registered(path: path))
    if mustCheck { try await check(path, client, session) }
  }

  var heldPath: String? {
    if case .node(let path, _, _) = holding { path } else { nil }
  }

  private func hold(_ path: String, version: Int32, data: [UInt8], in client: ZooKeeperClient) {
    release()
    holding = .node(path: path, version: version, data: data)
    client.claimed.insert(path)
    mustCheck = true
    isDeleted = false
  }

  private func release() {
    if let heldPath { client?.claimed.remove(heldPath) }
    holding = .nothing
  }

  private func lookForOwn(_ client: ZooKeeperClient, _ session: ZooKeeperSession) async throws(ZooKeeperError) {
    let own = try await OwnNodes.find(registration, isOurs: mayBeOurs, session, client)
    guard let first = own.first else {
      holding = .nothing
      return
    }
    hold(first.path, version: first.version, data: first.data, in: client)
    client.logger.info("took over a node of this session", with: [.znode: first.path])
    // Two of ours are one too many, unless another registration of the same name is about to take one.
    // In a session carried on that may be one that is still to be wanted.
    guard !session.isResumed, !client.hasUnsettled(registration, besides: self) else { return }
    for surplus in own.dropFirst() where surplus.data == registration.data && !client.claimed.contains(surplus.path) {
      try await session.deleteIfThere(surplus.path)
    }
  }

  /// Whether a node of this session, under our name and with other data, is this registration's.
  private func mayBeOurs(_ data: [UInt8]) -> Bool { data == attempted || adopting?(data) == true }

  /// Makes the node. Until the answer is there, a node may exist that we do not know.
  private func make(_ client: ZooKeeperClient, _ session: ZooKeeperSession) async throws(ZooKeeperError) {
    let (wanted, before) = (registration, holding)
    guard !wanted.name.isEmpty, !wanted.name.contains("/") else {
      throw ZooKeeperError(code: .badArguments, operation: Operation.create.rawValue, path: wanted.path)
    }
    let isProtected = client.credentials?.protectsNodes ?? false
    holding = .unknown
    attempted = wanted.data
    do throws(ZooKeeperError) {
      let path = try await session.create(wanted.path, wanted.data, mode: wanted.mode, isProtected: isProtected)
      // An answer that comes after the session's end speaks of an ephemeral node that is gone.
      guard client.session === session || !wanted.mode.isEphemeral else { return }
      patience.made(now: client.clock.now)
      hold(path, version: 0, data: wanted.data, in: client)
    } catch {
      if error.code.isAmbiguous || (error.code == .sessionExpired && !wanted.mode.isEphemeral) { throw error }
      // The server says that it made nothing; what may have been there before may still be.
      holding = before
      switch error.code {
      case .noNode:
        try await session.makeDirectory(wanted.directory)
        wake()
      case .nodeExists where !wanted.mode.isSequential: try await takeOver(client, session)
      default: throw error
      }
    }
  }

  /// A node of our fixed name exists, ours or not: it gets our data.
  private func takeOver(_ client: ZooKeeperClient, _ session: ZooKeeperSession) async throws(ZooKeeperError) {
    do throws(ZooKeeperError) {
      let (data, stat) = try await session.read(registration.path)
      guard client.session === session else { return }
      hold(registration.path, version: stat.version, data: data, in: client)
    } catch {
      guard error.code == .noNode else { throw error }
      // It went in between: made in the next round.
      wake()
    }
  }

  private func write(_ path: String, _ session: ZooKeeperSession) async throws(ZooKeeperError) {
    let data = registration.data
    mustTouch = false
    do throws(ZooKeeperError) {
      let version = try await session.set(path, data)
      guard heldPath == path else { return }
      holding = .node(path: path, version: version, data: data)
    } catch {
      guard error.code == .noNode else { throw error }
      lost(path)
    }
  }

  /// Looks whether the held node is still there and as we left it, and watches it.
  private func check(
    _ path: String, _ client: ZooKeeperClient, _ session: ZooKeeperSession
  ) async throws(ZooKeeperError) {
    mustCheck = false
    let key = WatchKey(kind: .own, path: path)
    let isWatched = session.mayWatch(key, for: .registration)
    session.listen(to: key) { [weak self] isDeletion in
      guard let self, heldPath == path else { return }
      if isDeletion { isDeleted = true } else { mustCheck = true }
      wake()
    }
    let stat: NodeStat?
    do throws(ZooKeeperError) {
      stat = try await session.stat(path, watching: isWatched ? key : nil)
    } catch {
      mustCheck = true
      throw error
    }
    guard case .node(path, let version, _) = holding, isWanted else { return }
    guard let stat, isOurs(stat, session) else { return lost(path) }
    if stat.version != version {
      // Somebody wrote to it: our data goes on top again.
      holding = .node(path: path, version: stat.version, data: nil)
      wake()
    }
    let interval = isWatched ? client.limits.reconcileInterval : client.limits.unwatchedInterval
    wake(after: interval * Double.random(in: 0.5...1.5))
  }

  /// A sequential name is never given twice, so such a node of another session is not this registration.
  private func isOurs(_ stat: NodeStat, _ session: ZooKeeperSession) -> Bool {
    registration.mode != .ephemeralSequential || stat.ephemeralOwner == session.id
  }

  /// Somebody deleted the node. Made again at once, but not over and over against somebody who means it.
  private func lost(_ path: String) {
    guard let client else { return }
    client.logger.warning("registered node was deleted by somebody else", with: [.znode: path])
    client.session?.ignore(WatchKey(kind: .own, path: path))
    release()
    patience.lost(now: client.clock.now)
    move(to: .pending)
    wake()
  }

  private func remove(_ client: ZooKeeperClient, _ session: ZooKeeperSession) async throws(ZooKeeperError) {
    switch holding {
    case .nothing: return
    case .node(let path, _, _):
      session.ignore(WatchKey(kind: .own, path: path))
      try await session.deleteIfThere(path)
    case .unknown where registration.mode.isSequential:
      for own in try await OwnNodes.find(registration, isOurs: mayBeOurs, session, client) {
        if client.claimed.contains(own.path) { continue }
        try await session.deleteIfThere(own.path)
        if client.hasUnsettled(registration, besides: self) { break }
      }
    case .unknown:
      guard let stat = try await session.stat(registration.path) else { return }
      if stat.ephemeralOwner == session.id || !registration.mode.isEphemeral {
        try await session.deleteIfThere(registration.path)
      }
    }
  }
}

internal import Glibc
internal import Logging
public import Reactor
internal import SmartStack

/// One registration that the client keeps in sync until it is withdrawn.
///
/// `docs/zookeeper.md` has its states as a table ("One registration").
///
/// Whenever something changes, a loop of its own looks at what is wanted and at what this session is known to hold,
/// takes one step that brings the two together, and looks again until there is nothing left to do. Every step may be
/// repeated: after a lost connection the loop does not assume, it looks. Between two changes there is no task: one
/// that waits costs 3 KB, and a host may have ten thousand registrations.
@LoopActor public final class WantedNode {
  /// State of the registration.
  public private(set) var state: NodeState = .pending
  /// The registration that must exist.
  public private(set) var registration: Registration

  private let context: SessionContext
  private let claims: NodeClaims
  private let adopting: (@LoopActor (_ data: [UInt8]) -> Bool)?
  private let onChange: @LoopActor (NodeState) -> Void
  private let onEnd: @LoopActor (WantedNode) -> Void
  /// What the session of ``generation`` is known to hold.
  private var observed: ObservedNode = .nothing {
    didSet { claims.update(ObjectIdentifier(self), of: registration, from: oldValue, to: observed) }
  }
  private var generation: UInt64 = 0
  /// The bytes of the last create that was sent: what an unanswered one may have left, whatever is wanted now.
  private var attempted: [UInt8]?
  /// Happens when the node is gone; nil as long as the node is wanted.
  private var withdrawal: OneShotEvent<Void>?
  private var duties: NodeDuties = []
  private var loop = NodeLoop.running
  private var timer: LoopTimer?
  private var backoff = RecreateBackoff()

  /// - Parameter onEnd: called when the node is withdrawn and gone.
  init(
    _ registration: Registration, context: SessionContext, claims: NodeClaims,
    adopting: (@LoopActor (_ data: [UInt8]) -> Bool)?, onChange: @escaping @LoopActor (NodeState) -> Void,
    onEnd: @escaping @LoopActor (WantedNode) -> Void
  ) {
    self.registration = registration
    self.context = context
    self.claims = claims
    self.adopting = adopting
    self.onChange = onChange
    self.onEnd = onEnd
    claims.update(ObjectIdentifier(self), of: registration, from: .nothing, to: .nothing)
    context.metrics.moved(from: nil, to: .pending)
  }

  /// Wants other data at the same node: written over it when it exists already.
  public func update(data: [UInt8]) {
    guard data != registration.data else { return }
    registration.data = data
    wake()
  }

  /// Writes the data again, so that the node's time of modification shows that the agent lives.
  public func touch() {
    duties.insert(.touch)
    wake()
  }

  /// Wants the node gone. Takes effect at once, also when a create is under way; returns when the node
  /// is gone, or the session that held it, or the client is closed. Without a connection that can take
  /// as long as the connection takes to come back.
  public func withdraw() async {
    if state == .withdrawn { return }
    let end = withdrawal ?? OneShotEvent()
    if withdrawal == nil {
      withdrawal = end
      wake()
    }
    await end.outcome()
  }

  // MARK: Changes of the session

  private var isWanted: Bool { withdrawal == nil }

  /// There is a connection.
  func sessionChanged() { wake() }

  /// The session is gone, and ephemeral nodes with it.
  func sessionLost() {
    if registration.mode.isEphemeral {
      observed = .nothing
      move(to: .pending)
    }
    wake()
  }

  func clientClosed() {
    timer?.cancel()
    move(to: .withdrawn)
    claims.remove(ObjectIdentifier(self))
    withdrawal?.happen()
  }

  // MARK: The loop

  /// Brings the server in line with what is wanted, again after every change meanwhile. The client calls it once.
  func run() async {
    repeat {
      loop = .running
      guard let session = context.connected else {
        if !isWanted, !mayExist { finish() }
        continue
      }
      adjust(to: session)
      do throws(ZooKeeperError) {
        if isWanted {
          try await ensure(in: session)
          backoff.succeeded()
        } else {
          try await remove(from: session)
          finish()
        }
      } catch {
        failed(error, in: session)
      }
    } while loop == .runningAgain && state != .withdrawn
    loop = .idle
  }

  private func wake() {
    if state == .withdrawn { return }
    guard loop == .idle else {
      loop = .runningAgain
      return
    }
    loop = .running
    // Not at once: whoever wakes us is in the middle of something.
    Task { await run() }
  }

  private func wake(after delay: Duration) {
    timer?.cancel()
    timer = context.clock.schedule(after: delay) { [weak self] in
      self?.duties.insert(.check)
      self?.wake()
    }
  }

  /// Whether, without a connection to ask, the node may be there: not when the session that could hold it
  /// is gone, and not when we never made it.
  private var mayExist: Bool {
    guard registration.mode.isEphemeral else { return observed != .nothing }
    guard let session = context.session, !session.isOver else { return false }
    return session.generation == generation ? observed != .nothing : session.isResumed
  }

  private func finish() {
    timer?.cancel()
    observed = .nothing
    claims.remove(ObjectIdentifier(self))
    move(to: .withdrawn)
    onEnd(self)
    withdrawal?.happen()
  }

  /// A new session holds nothing of ours unless another process used it before; nodes that do not go with a
  /// session are still where they were.
  private func adjust(to session: ZooKeeperSession) {
    guard session.generation != generation else { return }
    generation = session.generation
    if registration.mode.isEphemeral {
      // What this process knows of its own session still holds.
      if session.settings.isReopened, observed.path != nil {
        duties.insert(.check)
      } else {
        observed = session.isResumed ? .unknown : .nothing
      }
    } else if observed.path != nil {
      duties.insert(.check)
    } else {
      observed = .unknown
    }
  }

  private func failed(_ error: ZooKeeperError, in session: ZooKeeperSession) {
    switch error.code {
    case .connectionLoss, .sessionExpired, .closed:
      // The client wakes us with the next connection. If that came before this answer, go on at once.
      if context.connected != nil, !session.isOver { wake(after: .milliseconds(10)) }
    default:
      let delay = backoff.refused()
      // At the first, second, fourth, eighth, …: a refusal may last for days. Of a refused deletion the owner tells.
      if isWanted, backoff.refusals & (backoff.refusals - 1) == 0 {
        context.logger.error(
          "node creation failed",
          with: [.znode: registration.path, .reason: "\(error)", .delay: delay, .attempt: backoff.refusals])
      }
      move(to: .failed(error))
      wake(after: delay)
    }
  }

  private func move(to new: NodeState) {
    guard new != state, state != .withdrawn else { return }
    context.metrics.moved(from: state, to: new)
    state = new
    onChange(new)
  }

  // MARK: Steps

  private func ensure(in session: ZooKeeperSession) async throws(ZooKeeperError) {
    if duties.contains(.recreate), let path = observed.path { lost(path) }
    if observed == .unknown, registration.mode.isSequential { try await lookForOwn(in: session) }
    if isWanted, observed.path == nil {
      let pause = backoff.pause(now: context.clock.now)
      if pause > .zero { return wake(after: pause) }
      try await create(in: session)
    }
    if case .node(let path, _, let data) = observed, isWanted, data != registration.data || duties.contains(.touch) {
      try await write(path, in: session)
    }
    guard let path = observed.path, isWanted, context.connected === session else { return }
    // Reported before the watch is set: that is one more round trip nobody has to wait for.
    move(to: .registered(path: path))
    if duties.contains(.check) { try await check(path, in: session) }
  }

  private func hold(_ path: String, version: Int32, data: [UInt8], owner: Int64) {
    // A node of a fixed name may be another session's: it is not ours to delete.
    if owner == self.owner(in: context.session) { context.own.note(own(path, owner: owner)) }
    observed = .node(path: path, version: version, data: data)
    duties.insert(.check)
    duties.remove(.recreate)
  }

  private func own(_ path: String, owner: Int64, isMade: Bool = true) -> OwnNodes.Entry {
    OwnNodes.Entry(isMade: isMade, path: path, session: owner)
  }

  /// The session that our nodes go with; 0: none.
  private func owner(in session: ZooKeeperSession?) -> Int64 {
    registration.mode.isEphemeral ? session?.id ?? 0 : 0
  }

  private func lookForOwn(in session: ZooKeeperSession) async throws(ZooKeeperError) {
    let own = try await session.findNodes(of: registration, isOurs: mayBeOurs, except: claims)
    if !hasUnsettledTwin {
      context.own.strike(self.own(registration.path, owner: owner(in: session), isMade: false))
    }
    guard let first = own.first else {
      observed = .nothing
      return
    }
    hold(first.path, version: first.stat.version, data: first.data, owner: first.stat.ephemeralOwner)
    context.logger.info("own node adopted", with: [.znode: first.path])
    // Two of ours are one too many, unless another registration of the same name is about to take one.
    // In a resumed session that may be one that is still to be wanted.
    guard !session.isResumed, !hasUnsettledTwin else { return }
    for surplus in own.dropFirst() where surplus.data == registration.data && !claims.contains(surplus.path) {
      try await session.deleteIfThere(surplus.path)
      context.own.strike(path: surplus.path, session: owner(in: session))
    }
  }

  private var hasUnsettledTwin: Bool { claims.hasUnsettled(registration, besides: ObjectIdentifier(self)) }

  /// Whether a node of this session, under our name and with other data, is this registration's.
  private func mayBeOurs(_ data: [UInt8]) -> Bool { data == attempted || adopting?(data) == true }

  /// Creates the node. Until the answer is there, a node may exist that we do not know.
  private func create(in session: ZooKeeperSession) async throws(ZooKeeperError) {
    let (wanted, before) = (registration, observed)
    guard !wanted.name.isEmpty, !wanted.name.contains("/") else {
      throw ZooKeeperError(code: .badArguments, operation: Operation.create.rawValue, path: wanted.path)
    }
    observed = .unknown
    attempted = wanted.data
    let owner = owner(in: session)
    let request = own(wanted.path, owner: owner, isMade: !wanted.mode.isSequential)
    context.own.note(request)
    do throws(ZooKeeperError) {
      let path = try await session.create(
        wanted.path, data: wanted.data, mode: wanted.mode, isProtected: context.protectsNodes)
      context.own.note(own(path, owner: owner))
      if wanted.mode.isSequential { context.own.answered(request) }
      // An answer that comes after the session's end speaks of an ephemeral node that is gone.
      guard context.session === session || !wanted.mode.isEphemeral else { return }
      backoff.made(now: context.clock.now)
      hold(path, version: 0, data: wanted.data, owner: owner)
    } catch {
      if error.code.isAmbiguous || (error.code == .sessionExpired && !wanted.mode.isEphemeral) { throw error }
      // The server says that it made nothing; what may have been there before may still be.
      observed = before
      context.own.answered(request)
      switch error.code {
      case .noNode:
        try await session.makeDirectory(wanted.directory, isProtected: context.protectsNodes)
        wake()
      case .nodeExists where !wanted.mode.isSequential: try await takeOver(in: session)
      default: throw error
      }
    }
  }

  /// A node of our fixed name exists, ours or not: it gets our data.
  private func takeOver(in session: ZooKeeperSession) async throws(ZooKeeperError) {
    do throws(ZooKeeperError) {
      let (data, stat) = try await session.read(registration.path)
      guard context.session === session else { return }
      hold(registration.path, version: stat.version, data: data, owner: stat.ephemeralOwner)
    } catch {
      guard error.code == .noNode else { throw error }
      // It went in between: made in the next round.
      wake()
    }
  }

  private func write(_ path: String, in session: ZooKeeperSession) async throws(ZooKeeperError) {
    let data = registration.data
    duties.remove(.touch)
    do throws(ZooKeeperError) {
      let version = try await session.set(path, to: data)
      guard observed.path == path else { return }
      observed = .node(path: path, version: version, data: data)
    } catch {
      guard error.code == .noNode else { throw error }
      lost(path)
    }
  }

  /// Looks whether the held node is still there and as we left it, and watches it.
  private func check(_ path: String, in session: ZooKeeperSession) async throws(ZooKeeperError) {
    duties.remove(.check)
    let key = WatchKey(kind: .own, path: path)
    let isWatched = session.watches.admit(key)
    session.watches.listen(to: key) { [weak self] isDeletion in
      guard let self, observed.path == path else { return }
      duties.insert(isDeletion ? .recreate : .check)
      wake()
    }
    let stat: NodeStat?
    do throws(ZooKeeperError) {
      stat = try await session.stat(path, watching: isWatched ? key : nil)
    } catch {
      duties.insert(.check)
      throw error
    }
    guard case .node(path, let version, _) = observed, isWanted else { return }
    guard let stat, isOurs(stat, in: session) else { return lost(path) }
    if stat.version != version {
      // Somebody wrote to it: our data goes on top again.
      observed = .node(path: path, version: stat.version, data: nil)
      wake()
    }
    let interval = isWatched ? context.limits.reconcileInterval : context.limits.unwatchedInterval
    wake(after: interval * Double.random(in: 0.5...1.5))
  }

  /// A sequential name is never given twice, so such a node of another session is not this registration.
  private func isOurs(_ stat: NodeStat, in session: ZooKeeperSession) -> Bool {
    registration.mode != .ephemeralSequential || stat.ephemeralOwner == session.id
  }

  /// Notes that another client deleted the node, which is then created again after ``RecreateBackoff``'s pause.
  private func lost(_ path: String) {
    context.logger.warning("own node deleted by another client", with: [.znode: path])
    context.session?.watches.ignore(WatchKey(kind: .own, path: path))
    context.own.strike(path: path, session: owner(in: context.session))
    observed = .nothing
    backoff.lost(now: context.clock.now)
    move(to: .pending)
    wake()
  }

  private func remove(from session: ZooKeeperSession) async throws(ZooKeeperError) {
    switch observed {
    case .nothing: return
    case .node(let path, _, _):
      session.watches.ignore(WatchKey(kind: .own, path: path))
      try await session.deleteIfThere(path)
      context.own.strike(path: path, session: owner(in: session))
    case .unknown where registration.mode.isSequential:
      for own in try await session.findNodes(of: registration, isOurs: mayBeOurs, except: claims) {
        if claims.contains(own.path) { continue }
        try await session.deleteIfThere(own.path)
        context.own.strike(path: own.path, session: owner(in: session))
        if hasUnsettledTwin { return }
      }
      context.own.strike(own(registration.path, owner: owner(in: session), isMade: false))
    case .unknown:
      if let stat = try await session.stat(registration.path),
        stat.ephemeralOwner == session.id || !registration.mode.isEphemeral
      {
        try await session.deleteIfThere(registration.path)
      }
      context.own.strike(path: registration.path, session: owner(in: session))
    }
  }
}

internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// One etcd and this agent's keys in it, which live as long as the agent says that it lives.
///
/// With v3 all keys hang on one lease that is kept alive; with v2 each key has a time to live that is renewed. When
/// the etcd has let go of them (it was out of reach for too long, or it has lost its data), all are written again.
@LoopActor final class EtcdRegistry {
  /// Requests under way at one time.
  private static let width = 8
  /// How long an agent that ends waits for the etcd to hear of it.
  private static let farewell = Duration.seconds(2)

  /// The keys that this agent, or a run before it, may have.
  let own: OwnNodes
  private let settings: EtcdSettings
  private let client: EtcdClient
  private let clock: LoopClock
  private let logger: Logger
  private let retrying = RetryPolicy(base: .milliseconds(500), limit: .seconds(10))
  private let requests = AsyncSemaphore(limit: EtcdRegistry.width)
  private var records = UseCount<String, RecordReconciler>()
  /// Which interface is spoken; nil until the etcd has been asked.
  private var spoken: EtcdSettings.API?
  private var lease: String?
  private var granting: Task<String, any Error>?
  private var renewal: LoopTimer?
  private var misses = 0
  private var isEnded = false
  /// Keys of an earlier run that are being deleted.
  private var leftovers: Set<String> = []

  init(_ settings: EtcdSettings, own: OwnNodes = OwnNodes(), clock: LoopClock, logger: Logger) {
    (self.settings, self.own) = (settings, own)
    self.clock = clock
    self.logger = logger
    client = EtcdClient(settings.endpoints)
    spoken = settings.api == .auto ? nil : settings.api
  }

  isolated deinit { renewal?.cancel() }

  /// Whether the last request was answered.
  var isReachable: Bool { client.isReachable }

  /// The record under `key`, shared by all its users, until ``leave(_:)``.
  func join(_ key: String) -> RecordReconciler {
    records.join(key) {
      RecordReconciler(
        place: key, clock: clock, put: { [weak self] in try await self?.put($0, under: key) },
        delete: { [weak self] in try await self?.delete(key) }, reachable: { [client] in client.isReachable })
    }
  }

  /// One user of the record under `key` less.
  func leave(_ key: String) { _ = records.leave(key) }

  /// Deletes the keys that an earlier run left and nobody uses.
  func dropLeftovers() {
    for key in own.places where records[key] == nil {
      leftovers.insert(key)
      join(key).discardUnclaimed()
    }
  }

  /// Deletes the keys that an earlier run left in an etcd that nobody uses any more.
  /// - Parameter others: registries of other lists of servers. What they have in the same etcd is not a leftover.
  /// - Returns: whether all are gone.
  func deleteLeftovers(besides others: [EtcdRegistry]) async -> Bool {
    let theirs = others.filter { !Set($0.settings.endpoints).isDisjoint(with: settings.endpoints) }
    for key in own.places where records[key] == nil {
      if theirs.contains(where: { $0.own.places.contains(key) }) {
        own.strike(key)
        continue
      }
      leftovers.insert(key)
      do {
        try await delete(key)
      } catch {
        logger.warning("leftover search failed", with: [.path: key, .reason: "\(error)"])
        return false
      }
    }
    return true
  }

  /// Takes every key back, by giving the lease up; returns when that is done, or has failed: then the keys go by
  /// themselves at the end of their lives.
  func close() async {
    guard !isEnded else { return }
    let leased = lease == nil ? [] : Set(records.values.filter { $0.value.isPresent }.keys)
    abandon()
    do {
      for key in own.places where !leased.contains(key) {
        try await delete(key, by: spoken ?? .v3, patience: EtcdRegistry.farewell)
      }
      guard let lease else { return }
      _ = try await call("/v3/lease/revoke", body: EtcdMessage.lease(lease), patience: EtcdRegistry.farewell)
      for key in leased { own.strike(key) }
    } catch {
      logger.warning("lease revocation failed; registrations expire with it", with: [.reason: "\(error)"])
    }
  }

  /// Lets go of everything, and leaves the keys to a successor, or to their end.
  func abandon() {
    isEnded = true
    renewal?.cancel()
    for record in records.removeAll().values { record.abandon() }
  }

  // MARK: Keys

  private func put(_ data: [UInt8], under key: String) async throws {
    own.note(key)
    try await requests.acquire()
    defer { requests.release() }
    guard try await interface() == .v3 else {
      let body = EtcdMessage.v2Put(data, lifetime: settings.lifetime)
      let response = try await client.send("PUT", target: EtcdMessage.v2Target(key), body: body)
      guard [200, 201].contains(response.status) else { throw refusal(of: "PUT \(key)", response) }
      if renewal == nil { keepAlive(after: period) }
      return
    }
    let held = try await currentLease()
    do {
      _ = try await call("/v3/kv/put", body: EtcdMessage.put(key: key, value: data, lease: held))
    } catch EtcdError.leaseNotFound {
      leaseLost(held)
      _ = try await call("/v3/kv/put", body: EtcdMessage.put(key: key, value: data, lease: try await currentLease()))
    }
  }

  private func delete(_ key: String) async throws {
    try await requests.acquire()
    defer { requests.release() }
    try await delete(key, by: try await interface(), patience: EtcdClient.patience)
    if leftovers.remove(key) != nil { logger.notice("leftover key deleted", with: [.path: key]) }
  }

  private func delete(_ key: String, by interface: EtcdSettings.API, patience: Duration) async throws {
    if interface == .v2 {
      let response = try await client.send("DELETE", target: EtcdMessage.v2Target(key), patience: patience)
      guard [200, 404].contains(response.status) else { throw refusal(of: "DELETE \(key)", response) }
    } else {
      _ = try await call("/v3/kv/deleterange", body: EtcdMessage.delete(key: key), patience: patience)
    }
    own.strike(key)
  }

  // MARK: Lease

  /// The lease, or a new one; many may ask at one time.
  private func currentLease() async throws -> String {
    if let lease { return lease }
    if let granting { return try await granting.value }
    let task = Task.immediate { @LoopActor in try await grant() }
    granting = task
    defer { if granting == task { granting = nil } }
    return try await task.value
  }

  private func grant() async throws -> String {
    guard !isEnded else { throw CancellationError() }
    let reply = try await call("/v3/lease/grant", body: EtcdMessage.grant(lifetime: settings.lifetime))
    guard let id = reply.leaseID, !isEnded else {
      throw EtcdError.refused(request: "/v3/lease/grant", reason: "the answer has no lease in it")
    }
    lease = id
    logger.info("lease granted", with: [.session: id, .delay: Duration.seconds(settings.lifetime)])
    keepAlive(after: period)
    return id
  }

  private func leaseLost(_ lost: String) {
    guard lease == lost else { return }
    lease = nil
    logger.warning("lease expired; registering again", with: [.session: lost])
    for record in records.values.values where record.isPresent { record.lost() }
  }

  // MARK: Keeping alive

  /// Three attempts fit into a life.
  private var period: Duration { .seconds(settings.lifetime) / 3 }

  private func keepAlive(after delay: Duration) {
    renewal?.cancel()
    guard !isEnded else { return }
    renewal = clock.schedule(after: delay) { [weak self] in
      Task.immediate { @LoopActor in await self?.keepAlive() }
    }
  }

  private func keepAlive() async {
    do {
      if spoken == .v2 { try await renewKeys() } else { try await renewLease() }
      if misses > 0 { logger.notice("lease keep-alive resumed", with: [.attempt: misses]) }
      misses = 0
      // Without a lease the next registration asks for one, and goes on from there.
      if spoken == .v2 || lease != nil { keepAlive(after: period) }
    } catch {
      if misses == 0 { logger.warning("lease keep-alive failed", with: [.reason: "\(error)"]) }
      keepAlive(after: min(period, retrying.delay(attempt: misses)))
      misses += 1
    }
  }

  private func renewLease() async throws {
    guard let held = lease else { return }
    do {
      let reply = try await call("/v3/lease/keepalive", body: EtcdMessage.lease(held))
      if (reply.lifetime ?? 0) <= 0 { leaseLost(held) }
    } catch EtcdError.leaseNotFound {
      leaseLost(held)
    }
  }

  private func renewKeys() async throws {
    for (key, record) in records.values where record.isPresent {
      let body = EtcdMessage.v2Refresh(lifetime: settings.lifetime)
      let response = try await client.send("PUT", target: EtcdMessage.v2Target(key), body: body)
      switch response.status {
      case 200: continue
      case 404:
        if record.isPresent {
          logger.warning("key expired; registering again", with: [.path: key])
          record.lost()
        }
      default: throw refusal(of: "PUT \(key)", response)
      }
    }
  }

  // MARK: Talking

  /// Chooses the interface: upstream's wherever the server has it, since that is what its readers know.
  private func interface() async throws -> EtcdSettings.API {
    // After the goodbye nothing must be written any more: nobody would keep it alive, or take it back.
    guard !isEnded else { throw CancellationError() }
    if let spoken { return spoken }
    let response = try await client.send("GET", target: EtcdMessage.v2Target("/"))
    switch response.status {
    case 200: spoken = .v2
    case 404: spoken = .v3
    default: throw refusal(of: "GET /v2/keys/", response)
    }
    let decided = spoken ?? .v3
    logger.info("etcd interface chosen", with: [.state: decided.rawValue])
    return decided
  }

  private func call(
    _ target: String, body: String, patience: Duration = EtcdClient.patience
  ) async throws -> EtcdReply {
    let response = try await client.send("POST", target: target, body: body, patience: patience)
    let reply = EtcdReply(response.body)
    if let error = reply.error, error.contains("lease not found") { throw EtcdError.leaseNotFound }
    guard response.status == 200, reply.error == nil else { throw refusal(of: target, response) }
    return reply
  }

  private func refusal(of request: String, _ response: HTTPResponse) -> EtcdError {
    let text = EtcdReply(response.body).error ?? String(decoding: response.body.prefix(200), as: UTF8.self)
    return .refused(request: request, reason: "HTTP \(response.status) \(text.firstLine() ?? "")")
  }
}

internal import Reactor
internal import SmartStack

/// One connection to one server that speaks ZooKeeper's protocol: a session opened or resumed, requests answered in
/// their order, and the events of its watches between the answers.
///
/// An event arrives before every answer that was computed after its change, so that a watch that is added before a
/// node is read misses nothing.
@LoopActor final class WireConnection {
  /// A session that owns no nodes, and how far it has read.
  struct Session: Sendable {
    var identity = SavedSession(id: 0, password: [UInt8](repeating: 0, count: 16))
    /// The last change that an answer included; a server that has not seen it does not take the session.
    var lastChange: Int64 = 0
  }

  /// What happened to a node.
  enum Change: Int32 {
    case created = 1
    case deleted = 2
    case dataChanged = 3
    case childrenChanged = 4
  }

  private struct Pending {
    let number: Int32
    let operation: Operation
    let path: String
    /// Takes the answer's body, or what failed; throws when the body makes no sense.
    let then: @LoopActor (Result<WireReader, ZooKeeperError>) throws(WireReader.Malformed) -> Void

    @LoopActor func fail(_ code: ZooKeeperError.Code) {
      try? then(.failure(ZooKeeperError(code: code, operation: operation.rawValue, path: path)))
    }
  }

  /// No answer is longer: the largest one is a batch of nodes of a megabyte each.
  private static let longestPacket = 256 << 20
  private static let eventNumber: Int32 = -1
  private static let pingNumber: Int32 = -2

  private let stream: ByteStream
  /// The session, kept up to date.
  private(set) var session: Session
  private let tick: Duration
  private let metrics: ZooKeeperMetrics
  private let clock: LoopClock
  private let onEvent: @LoopActor (Change, _ path: String) -> Void
  private var lastNumber: Int32 = 0
  private var pending: [Pending] = []
  private var nextPending = 0
  /// Ticks since the server was heard last, and since it was told anything.
  private var (silentTicks, idleTicks) = (0, 0)
  private var timer: LoopTimer?
  private let end = OneShotEvent<String>()

  /// Connects, and opens or resumes a session.
  /// - Parameters:
  ///   - timeout: of the session, as it is asked for; a third of it is the limit of both steps.
  ///   - onEvent: called for each event of a watch.
  /// - Returns: nil when the server says that the session has expired.
  /// - Throws: `StreamError`, `WireReader.Malformed` or `CancellationError`.
  static func open(
    to endpoint: Endpoint, tls: TLSOptions? = nil, resuming session: Session, timeout: Duration,
    metrics: ZooKeeperMetrics, clock: LoopClock,
    onEvent: @escaping @LoopActor (Change, _ path: String) -> Void
  ) async throws -> WireConnection? {
    let stream = try await ByteStream.connect(
      to: endpoint, tls: tls, deadline: timeout / 3, opening: min(.seconds(2), timeout / 6))
    var request = WireWriter()
    request.put(Int32(0))
    request.put(session.lastChange)
    request.put(Int32(clamping: Int(timeout / .milliseconds(1))))
    request.put(session.identity.id)
    request.put(session.identity.password)
    request.put(false)
    try stream.write(request.packet)
    var answer = WireReader(try await readPacket(from: stream))
    _ = try answer.int()
    let granted = Duration.milliseconds(try answer.int())
    var opened = session
    opened.identity = SavedSession(id: try answer.long(), password: try answer.buffer())
    guard granted > .zero else {
      stream.close()
      return nil
    }
    stream.setDeadline(after: nil)
    return WireConnection(stream, session: opened, timeout: granted, metrics: metrics, clock: clock, onEvent: onEvent)
  }

  private static func readPacket(from stream: ByteStream) async throws -> [UInt8] {
    var head = WireReader(try await stream.read(exactly: 4))
    let length = Int(try head.int())
    guard (0...longestPacket).contains(length) else { throw WireReader.Malformed() }
    return try await stream.read(exactly: length)
  }

  private init(
    _ stream: ByteStream, session: Session, timeout: Duration, metrics: ZooKeeperMetrics, clock: LoopClock,
    onEvent: @escaping @LoopActor (Change, _ path: String) -> Void
  ) {
    (self.stream, self.session, self.metrics, self.clock, self.onEvent) = (stream, session, metrics, clock, onEvent)
    tick = timeout / 6
    Task.immediate { await self.receiveAll() }
    waitForTick()
  }

  /// Waits until the connection is over.
  /// - Returns: why.
  func ended() async -> String {
    if case .success(let reason) = await end.outcome() { return reason }
    return "closed"
  }

  /// Breaks the connection; what is pending fails as lost, in this call.
  func close(because reason: String) {
    guard end.happen(with: reason) else { return }
    timer?.cancel()
    stream.close()
    let lost = pending[nextPending...]
    (pending, nextPending) = ([], 0)
    for request in lost { request.fail(.connectionLoss) }
  }

  /// Asks the server to end the session, and leaves.
  func endSession() async {
    guard !end.hasHappened else { return }
    var packet = WireWriter()
    packet.put(Int32(0))
    packet.put(WireOperation.closeSession.rawValue)
    try? stream.write(packet.packet)
    _ = try? await withDeadline(after: .seconds(1)) { [end] in try await end.wait() }
    close(because: "closed")
  }

  // MARK: Requests

  /// Sends a request; `then` is called once, later, with the decoded answer or with what failed.
  func send<Value>(
    _ wire: WireOperation, as operation: Operation, at path: String, body: (inout WireWriter) -> Void,
    decode: @escaping @LoopActor (inout WireReader) throws(WireReader.Malformed) -> Value,
    then: @escaping @LoopActor (Result<Value, ZooKeeperError>) -> Void
  ) {
    lastNumber = lastNumber == .max ? 1 : lastNumber + 1
    let request = Pending(number: lastNumber, operation: operation, path: path) { answer throws(WireReader.Malformed) in
      switch answer {
      case .failure(let error): then(.failure(error))
      case .success(var reader):
        let value: Value
        do throws(WireReader.Malformed) { value = try decode(&reader) } catch {
          then(.failure(ZooKeeperError(code: .connectionLoss, operation: operation.rawValue, path: path)))
          throw error
        }
        then(.success(value))
      }
    }
    guard !end.hasHappened else {
      Task { request.fail(.connectionLoss) }
      return
    }
    var packet = WireWriter()
    packet.put(lastNumber)
    packet.put(wire.rawValue)
    body(&packet)
    metrics.requests[operation]?.increment()
    pending.append(request)
    idleTicks = 0
    do { try stream.write(packet.packet) } catch { Task { close(because: "\(error)") } }
  }

  // MARK: What comes

  private func receiveAll() async {
    do {
      while true {
        let packet = try await WireConnection.readPacket(from: stream)
        silentTicks = 0
        try receive(packet)
      }
    } catch {
      close(because: "\(error)")
    }
  }

  private func receive(_ packet: [UInt8]) throws {
    var reader = WireReader(packet)
    let number = try reader.int()
    let change = try reader.long()
    let code = try reader.int()
    if number == WireConnection.pingNumber { return }
    if number == WireConnection.eventNumber {
      metrics.watchEvents.increment()
      guard let kind = Change(rawValue: try reader.int()) else { return }
      _ = try reader.int()
      return onEvent(kind, try reader.string())
    }
    guard nextPending < pending.count, pending[nextPending].number == number else { throw WireReader.Malformed() }
    let request = pending[nextPending]
    nextPending += 1
    if nextPending > pending.count / 2 {
      pending.removeSubrange(..<nextPending)
      nextPending = 0
    }
    if change > session.lastChange { session.lastChange = change }
    if code == 0 { try request.then(.success(reader)) } else { request.fail(ZooKeeperError.Code(code)) }
  }

  // MARK: Silence

  /// A server that was told nothing for a third of the time-out gets a sign of life and answers it: it ends the session of a
  /// client that it does not hear, however much the client hears of events. One that is silent for two thirds is given up.
  /// Ticks are counted rather than time, so that a pause of this process alone ends nothing.
  private func waitForTick() {
    timer = clock.schedule(after: tick) { [weak self] in
      guard let self else { return }
      (silentTicks, idleTicks) = (silentTicks + 1, idleTicks + 1)
      if silentTicks > 4 { return close(because: "the server is silent") }
      waitForTick()
      if idleTicks > 1 { ping() }
    }
  }

  private func ping() {
    var packet = WireWriter()
    packet.put(WireConnection.pingNumber)
    packet.put(WireOperation.ping.rawValue)
    idleTicks = 0
    try? stream.write(packet.packet)
  }
}

// MARK: The requests

extension WireConnection {
  /// Reads the names below a node; `then` is called once, with them and their version or with what failed.
  func children(
    _ path: String, then: @escaping @LoopActor (Result<([String], Int64), ZooKeeperError>) -> Void
  ) {
    send(.getChildren2, as: .list, at: path) { body in
      body.put(path)
      body.put(false)
    } decode: { (answer: inout WireReader) throws(WireReader.Malformed) in
      (try answer.strings(), try answer.stat())
    } then: {
      then($0)
    }
  }

  /// Adds watches of nodes and of everything below them, whether they exist or not; one that is there stays.
  func addWatches(_ paths: [String], then: @escaping @LoopActor (Result<Void, ZooKeeperError>) -> Void) {
    send(.setWatches2, as: .watch, at: paths.first ?? "/") { body in
      // For watches that fire once, of which there are none.
      body.put(Int64(0))
      for _ in 0..<4 { body.put(Int32(0)) }
      body.put(Int32(paths.count))
      for path in paths { body.put(path) }
    } decode: { _ in
    } then: {
      then($0)
    }
  }

  /// Removes a watch; it does not matter if there is none.
  func removeWatch(_ path: String) {
    let ofAnyKind: Int32 = 3
    send(.removeWatches, as: .watch, at: path) { body in
      body.put(path)
      body.put(ofAnyKind)
    } decode: { _ in
    } then: { _ in
    }
  }

  /// A node's data, and the version of the names below it.
  typealias Node = (bytes: [UInt8], names: Int64)

  /// Reads several nodes with one request; `then` is called once, with a result for each path in their order, or with what
  /// failed for all of them.
  func data(
    of paths: [String], then: @escaping @LoopActor (Result<[Result<Node, ZooKeeperError>], ZooKeeperError>) -> Void
  ) {
    send(.multiRead, as: .read, at: paths.first ?? "/") { body in
      for path in paths {
        body.putEntry(WireOperation.getData.rawValue, isEnd: false)
        body.put(path)
        body.put(false)
      }
      body.putEntry(-1, isEnd: true)
    } decode: { (answer: inout WireReader) throws(WireReader.Malformed) in
      var results: [Result<Node, ZooKeeperError>] = []
      for path in paths { results.append(try answer.entry(at: path)) }
      return results
    } then: {
      then($0)
    }
  }

  /// Whether the server has what a reader needs, which those from 3.6 have.
  /// - Returns: nil when the connection is lost before it is known.
  func isCapable() async -> Bool? {
    let answer = OneShotEvent<Bool?>()
    data(of: []) { result in
      switch result {
      case .success: answer.happen(with: true)
      case .failure(let error): answer.happen(with: error.code == .connectionLoss ? nil : false)
      }
    }
    return try? await answer.outcome().get()
  }
}

extension WireWriter {
  fileprivate mutating func putEntry(_ operation: Int32, isEnd: Bool) {
    put(operation)
    put(isEnd)
    put(Int32(-1))
  }
}

extension WireReader {
  /// One entry of the answer to a `multiRead` of data.
  fileprivate mutating func entry(at path: String) throws(Malformed) -> Result<
    WireConnection.Node, ZooKeeperError
  > {
    let operation = try int()
    _ = try bool()
    _ = try int()
    switch operation {
    case WireOperation.getData.rawValue:
      return .success((try buffer(), try stat()))
    case -1:
      return .failure(
        ZooKeeperError(code: ZooKeeperError.Code(try int()), operation: Operation.read.rawValue, path: path))
    default: throw Malformed()
    }
  }
}

internal import CEvent
internal import Glibc

/// The open connections of a ``HTTPListener``: evhttp neither counts them nor tells the end of each.
///
/// Keeps one reference to each connection's bufferevent. evhttp's close callback reports the end of a
/// connection that has had a request. For others there is none; but evhttp clears the callbacks of a bufferevent when it
/// is done with it, so a bufferevent without callbacks is closed.
@LoopActor final class ConnectionTable {
  private var guards: [OpaquePointer: InputGuard] = [:]
  /// Those without a request so far.
  private var fresh: Set<OpaquePointer> = []

  /// Requests whose answer is still to come.
  var pendingCount = 0
  private let maxUnreadBytes: Int
  /// Bytes of answers since the unread ones were counted.
  private var written = 0
  /// Connections since those of each address were counted; below zero while none can have too many.
  private var added = 0

  nonisolated init(maxUnreadBytes: Int) { self.maxUnreadBytes = maxUnreadBytes }

  /// Open connections, and closed ones not yet noticed.
  var count: Int { guards.count }

  /// Whether a sweep could find anything.
  var hasFresh: Bool { !fresh.isEmpty }

  /// Whether connections were cut that evhttp has not let go of yet.
  var hasCut: Bool { guards.values.contains(where: \.isCut) }

  /// Whether a connection is open that came, or had an answer, since then.
  func hasActive(since start: LoopClock.Instant) -> Bool {
    guards.values.contains { !$0.isCut && $0.answeredAt >= start }
  }

  func add(_ bufferevent: OpaquePointer, inputLimit: Int) {
    bufferevent_incref(bufferevent)
    guards[bufferevent] = InputGuard(bufferevent, limit: inputLimit)
    fresh.insert(bufferevent)
    added += 1
  }

  /// Says that a connection has a request. From its first one on evhttp can be asked to tell the connection's end.
  func markUsed(_ connection: OpaquePointer) {
    guard let bufferevent = evhttp_connection_get_bufferevent(connection), fresh.remove(bufferevent) != nil else {
      return
    }
    watch(connection)
  }

  private func watch(_ connection: OpaquePointer) {
    evhttp_connection_set_closecb(connection, onConnectionClose, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Forgets a connection that evhttp closes.
  func closes(_ connection: OpaquePointer) {
    if let bufferevent = evhttp_connection_get_bufferevent(connection) { remove(bufferevent) }
  }

  /// Says that a request has arrived whole; `isAnswered` whether its answer is written already.
  func requestCame(_ bufferevent: OpaquePointer, isAnswered: Bool) {
    guard let connection = guards[bufferevent] else { return }
    if isAnswered { wrote(connection.unread, to: connection) }
    if let begun = connection.begun { connection.quietSince = begun }
    connection.begun = nil
    connection.isAnswering = !isAnswered
  }

  /// Says that a request is answered after its handler has returned.
  func answered(_ connection: OpaquePointer, length: Int) {
    watch(connection)
    guard let bufferevent = evhttp_connection_get_bufferevent(connection), let entry = guards[bufferevent] else {
      return
    }
    entry.isAnswering = false
    wrote(length, to: entry)
    // What came meanwhile belongs to the next request, whose time runs from here.
    if entry.begun != nil { entry.begun = .now }
  }

  private func wrote(_ count: Int, to connection: InputGuard) {
    connection.answeredAt = .now
    written += count
    // Counting looks at every connection: not for each answer.
    guard written > maxUnreadBytes / 8 else { return }
    written = 0
    let unread = guards.values.filter { $0 !== connection && $0.unread > 0 }.sorted { $0.answeredAt < $1.answeredAt }
    var excess = unread.reduce(connection.unread - maxUnreadBytes) { $0 + $1.unread }
    for victim in unread where excess > 0 {
      excess -= victim.unread
      victim.cut()
    }
  }

  /// Cuts connections of an address that has more than `share`, down to three quarters of it: the oldest of those that
  /// wait for the client.
  /// - Returns: how many.
  func cutGreedy(beyond share: Int) -> Int {
    // Counting looks at every connection: not for each newcomer.
    guard guards.count > share, added > share / 16 else { return 0 }
    let byAddress = Dictionary(grouping: guards.values.filter { !$0.isCut }, by: \.peer)
    let largest = byAddress.values.max { $0.count < $1.count } ?? []
    let count = largest.count > share ? cutOldest(largest.count - share * 3 / 4, of: largest.filter(\.isWaiting)) : 0
    // No address can have more before so many have come.
    added = min(0, largest.count - count - share)
    return count
  }

  /// Cuts those that have waited longest for their client.
  private func cutOldest(_ number: Int, of waiting: [InputGuard]) -> Int {
    // Sorting the moments alone takes a tenth of the time: newcomers wait for this.
    let moments = waiting.map(\.waitsSince).sorted()
    guard number > 0, let last = moments.prefix(number).last else { return 0 }
    var left = number
    for connection in waiting where left > 0 && connection.waitsSince <= last {
      connection.cut()
      left -= 1
    }
    return number - left
  }

  /// Cuts the connections whose request began before `limit` and is not complete.
  /// - Returns: how many.
  func cutSlow(begunBefore limit: LoopClock.Instant) -> Int {
    let slow = guards.values.filter { $0.isWaiting && $0.begun.map { $0 < limit } == true }
    for connection in slow { connection.cutAsSlow() }
    return slow.count
  }

  /// Makes room: cuts a share of the connections, those that have waited longest for a request or for the rest
  /// of one. Connections with an answer under way, and those quiet since `limit` or later, stay.
  /// - Returns: how many.
  func cutQuiet(since limit: LoopClock.Instant) -> Int {
    let quiet = guards.values.filter { $0.isWaiting && $0.waitsSince < limit }
    // A share, so that the sorting is paid by many newcomers, not by each.
    return cutOldest(max(1, guards.count / 16), of: quiet)
  }

  private func remove(_ bufferevent: OpaquePointer) {
    fresh.remove(bufferevent)
    guard let inputGuard = guards.removeValue(forKey: bufferevent) else { return }
    inputGuard.detach()
    bufferevent_decref(bufferevent)
  }

  /// Lets go of closed connections. Not to be called right after ``add(_:inputLimit:)``: evhttp has yet to set
  /// the callbacks.
  func sweep() {
    for bufferevent in Array(guards.keys) where isGone(bufferevent) { remove(bufferevent) }
  }

  /// Closes connections that sent no request in time.
  func sweepFresh() {
    for bufferevent in fresh where isGone(bufferevent) { remove(bufferevent) }
  }

  private func isGone(_ bufferevent: OpaquePointer) -> Bool {
    var onEvent: bufferevent_event_cb?
    bufferevent_getcb(bufferevent, nil, nil, &onEvent, nil)
    return onEvent == nil
  }
}

/// Cuts a connection that sends more than any request may have.
///
/// evhttp's limits do not hold for all it reads: a chunk's size line may go on without end, and while an answer is
/// written everything that arrives is kept. The socket is shut down; evhttp then sees an end and cleans up.
private final class InputGuard {
  let bufferevent: OpaquePointer
  let limit: Int
  /// When the first byte of a request came that is not complete yet; nil between requests.
  var begun: LoopClock.Instant?
  /// When the connection came, or its last complete request began.
  var quietSince = LoopClock.Instant.now
  /// Whether a request waits for its answer; what comes meanwhile has no time limit.
  var isAnswering = false
  /// When its last answer was written, or it came.
  var answeredAt = LoopClock.Instant.now
  private(set) var isCut = false

  /// Whether the client is waited for.
  var isWaiting: Bool { !isAnswering && !isCut }
  /// Bytes of its answer that the client has not read.
  var unread: Int { evbuffer_get_length(bufferevent_get_output(bufferevent)) }
  /// The client's address; empty for a Unix socket.
  private(set) lazy var peer = SocketAddress(of: bufferevent_getfd(bufferevent)) { getpeername($0, $1, $2) }?.host ?? ""
  /// Since when there is nothing but waiting for the client.
  var waitsSince: LoopClock.Instant { begun ?? quietSince }

  init(_ bufferevent: OpaquePointer, limit: Int) {
    self.bufferevent = bufferevent
    self.limit = limit
    evbuffer_add_cb(bufferevent_get_input(bufferevent), onInput, Unmanaged.passUnretained(self).toOpaque())
  }

  /// Ends the connection: evhttp sees an end of input and cleans up.
  func cut() {
    isCut = true
    shutdown(bufferevent_getfd(bufferevent), Int32(SHUT_RDWR))
  }

  /// Answers 408 and closes, unless an answer is still being written.
  func cutAsSlow() {
    defer { cut() }
    guard evbuffer_get_length(bufferevent_get_output(bufferevent)) == 0 else { return }
    let text = "the request was not complete in time\n"
    let answer =
      "HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
      + "Content-Length: \(text.utf8.count)\r\n\r\n\(text)"
    _ = send(bufferevent_getfd(bufferevent), answer, answer.utf8.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
  }

  /// To be called before the bufferevent's reference is given back.
  func detach() {
    evbuffer_remove_cb(bufferevent_get_input(bufferevent), onInput, Unmanaged.passUnretained(self).toOpaque())
  }
}

private func onConnectionClose(_ connection: OpaquePointer?, _ context: UnsafeMutableRawPointer?) {
  guard let connection else { return }
  nonisolated(unsafe) let loopConnection = connection
  onLoop(context) { (table: ConnectionTable) in table.closes(loopConnection) }
}

private func onInput(
  _ buffer: OpaquePointer?, _ change: UnsafePointer<evbuffer_cb_info>?, _ context: UnsafeMutableRawPointer?
) {
  guard let context else { return }
  let inputGuard = Unmanaged<InputGuard>.fromOpaque(context).takeUnretainedValue()
  if let change, change.pointee.n_added > 0, inputGuard.begun == nil { inputGuard.begun = .now }
  guard evbuffer_get_length(buffer) > inputGuard.limit else { return }
  let descriptor = bufferevent_getfd(inputGuard.bufferevent)
  // A reset when the socket is closed: a peer whose window is full would not see a mere end.
  var option = linger(l_onoff: 1, l_linger: 0)
  setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &option, socklen_t(MemoryLayout<linger>.size))
  shutdown(descriptor, Int32(SHUT_RDWR))
}

internal import CAres
internal import CEvent
internal import Glibc
internal import SmartStack

/// One record type of DNS that agents ask for.
enum RecordType: Int32, CaseIterable, Sendable {
  case ipv4 = 1
  case ipv6 = 28
  case service = 33
}

/// One answer of a name server.
enum NameReply: Sendable {
  /// A DNS message with records of the type that was asked for.
  case message([UInt8])
  /// The name exists and has no such record.
  case noRecord
  case noSuchName
  case failure(String)
}

/// One c-ares channel on the loop: its sockets are ``EventSource``s, its timeouts one ``LoopTimer``.
///
/// c-ares gets integer tokens, never pointers: a query may be answered before `ares_query` returns, and all that are
/// pending are answered by `ares_destroy`. ``close()`` must be called; until then ``live`` keeps the channel.
@LoopActor final class NameServers {
  private static var live: [UInt: NameServers] = [:]
  private static var replies: [UInt: @LoopActor (NameReply) -> Void] = [:]
  private static var lastToken: UInt = 0

  private var channel: ares_channel?
  private let token: UInt
  private var events: [Int32: [EventSource]] = [:]
  private var timer: LoopTimer?
  /// The domains below which a name with fewer than ``ndots`` dots is looked for first.
  private(set) var searchDomains: [String] = []
  private(set) var ndots = 1

  /// - Parameters:
  ///   - servers: numeric hosts with ports, asked in turn; nil: those of `/etc/resolv.conf`, with its search list.
  ///   - timeout: one server's time for an answer; doubled in each further round.
  ///   - attempts: rounds through the servers.
  init(servers: [Endpoint]?, timeout: Duration, attempts: Int) {
    NameServers.lastToken += 1
    token = NameServers.lastToken
    ares_library_init(ARES_LIB_INIT_ALL)
    var options = ares_options()
    options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES
    options.timeout = Int32(timeout / .milliseconds(1))
    options.tries = Int32(attempts)
    options.sock_state_cb = onSocketState
    options.sock_state_cb_data = UnsafeMutableRawPointer(bitPattern: token)
    let mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB
    let code = smartstack_ares_init(&channel, &options, mask)
    precondition(code == CODE_SUCCESS, "c-ares refused its options: \(text(of: code))")
    NameServers.live[token] = self
    if let servers {
      ares_set_servers_ports_csv(channel, servers.map(\.description).joined(separator: ","))
    } else {
      readSearchList()
    }
  }

  private func readSearchList() {
    var options = ares_options()
    var mask: Int32 = 0
    guard ares_save_options(channel, &options, &mask) == CODE_SUCCESS else { return }
    ndots = Int(options.ndots)
    searchDomains = (0..<Int(options.ndomains)).compactMap { options.domains[$0].map { String(cString: $0) } }
    ares_destroy_options(&options)
  }

  /// Ends every pending query with a failure, and forgets the sockets.
  func close() {
    guard let channel else { return }
    self.channel = nil
    timer?.cancel()
    ares_destroy(channel)
    NameServers.live[token] = nil
  }

  /// Asks for one type of records of one complete name. `body` may run before this returns.
  func ask(_ name: String, type: RecordType, then body: @escaping @LoopActor (NameReply) -> Void) {
    guard let channel else { return body(.failure("the resolver is closed")) }
    NameServers.lastToken += 1
    let reply = NameServers.lastToken
    NameServers.replies[reply] = body
    ares_query(channel, name, 1, type.rawValue, onReply, UnsafeMutableRawPointer(bitPattern: reply))
    armTimer()
  }

  // MARK: The loop

  private func process(reading: Int32, writing: Int32) {
    guard let channel else { return }
    ares_process_fd(channel, reading, writing)
    armTimer()
  }

  /// c-ares has no timers of its own: it says when it wants to be called.
  private func armTimer() {
    timer?.cancel()
    timer = nil
    var next = timeval()
    guard let channel, ares_timeout(channel, nil, &next) != nil else { return }
    let delay = Duration.seconds(next.tv_sec) + .microseconds(next.tv_usec)
    timer = LoopClock.system.schedule(after: delay) { [weak self] in self?.process(reading: -1, writing: -1) }
  }

  fileprivate func watch(_ descriptor: Int32, reading: Bool, writing: Bool) {
    for event in events.removeValue(forKey: descriptor) ?? [] { event.cancel() }
    var wanted: [EventSource] = []
    if reading {
      wanted.append(
        EventSource(reading: descriptor) { [weak self] in self?.process(reading: descriptor, writing: -1) })
    }
    if writing {
      wanted.append(
        EventSource(writing: descriptor) { [weak self] in self?.process(reading: -1, writing: descriptor) })
    }
    if !wanted.isEmpty { events[descriptor] = wanted }
  }

  // MARK: Callbacks

  fileprivate static func socketState(of token: UInt, descriptor: Int32, reading: Bool, writing: Bool) {
    live[token]?.watch(descriptor, reading: reading, writing: writing)
  }

  fileprivate static func finish(_ token: UInt, with reply: NameReply) { replies.removeValue(forKey: token)?(reply) }
}

// File scope on purpose: closure literals would inherit an isolation. c-ares calls them on the loop's thread.
private func onSocketState(_ token: UnsafeMutableRawPointer?, _ descriptor: Int32, _ read: Int32, _ write: Int32) {
  let token = UInt(bitPattern: token)
  LoopActor.assumeIsolated {
    NameServers.socketState(of: token, descriptor: descriptor, reading: read != 0, writing: write != 0)
  }
}

private func onReply(
  _ token: UnsafeMutableRawPointer?, _ code: Int32, _ timeouts: Int32, _ bytes: UnsafeMutablePointer<UInt8>?,
  _ count: Int32
) {
  let token = UInt(bitPattern: token)
  let message = Array(UnsafeBufferPointer(start: bytes, count: Int(count)))
  let reply: NameReply =
    switch code {
    case CODE_SUCCESS: .message(message)
    case CODE_NO_RECORD: .noRecord
    case CODE_NO_SUCH_NAME, CODE_BAD_NAME: .noSuchName
    default: .failure(text(of: code))
    }
  LoopActor.assumeIsolated { NameServers.finish(token, with: reply) }
}

private func text(of code: Int32) -> String { String(cString: ares_strerror(code)) }

// MARK: Records

/// What a DNS message holds of one type of records.
struct NameRecords: Equatable, Sendable {
  var addresses: [String] = []
  var services: [ServiceRecord] = []
  /// The shortest time that one of the records may be kept.
  var timeToLive: Duration = .zero

  /// An answer without records.
  init() {}

  /// Reads a message that c-ares has accepted; nil when its records make no sense.
  init?(_ message: [UInt8], type: RecordType) {
    switch type {
    case .ipv4:
      guard
        let found: [ares_addrttl] = NameRecords.parse(message, by: { ares_parse_a_reply($0, $1, nil, $2, $3) })
      else { return nil }
      addresses = found.map { NameRecords.text(of: $0.ipaddr) }
      timeToLive = .seconds(found.map(\.ttl).min() ?? 0)
    case .ipv6:
      guard
        let found: [ares_addr6ttl] = NameRecords.parse(message, by: { ares_parse_aaaa_reply($0, $1, nil, $2, $3) })
      else { return nil }
      addresses = found.map { NameRecords.text(of: $0.ip6addr) }
      timeToLive = .seconds(found.map(\.ttl).min() ?? 0)
    case .service:
      guard let found = NameRecords.services(message) else { return nil }
      services = found
    }
  }

  /// An array as long as the message has room for: every record takes sixteen bytes and more.
  private static func parse<Entry>(
    _ message: [UInt8],
    by parser: (UnsafePointer<UInt8>?, Int32, UnsafeMutablePointer<Entry>?, UnsafeMutablePointer<Int32>) -> Int32
  ) -> [Entry]? {
    var code: Int32 = 0
    let entries = [Entry](unsafeUninitializedCapacity: max(1, message.count / 16)) { buffer, count in
      var number = Int32(buffer.count)
      code = parser(message, Int32(message.count), buffer.baseAddress, &number)
      count = code == 0 ? Int(number) : 0
    }
    return code == CODE_SUCCESS || code == CODE_NO_RECORD ? entries : nil
  }

  private static func text(of address: some Any) -> String {
    withUnsafeBytes(of: address) { IPAddress(bytes: $0)?.description ?? "" }
  }

  private static func services(_ message: [UInt8]) -> [ServiceRecord]? {
    var list: UnsafeMutablePointer<ares_srv_reply>?
    guard ares_parse_srv_reply(message, Int32(message.count), &list) == CODE_SUCCESS else { return nil }
    defer { ares_free_data(list) }
    return sequence(first: list) { $0?.pointee.next }.prefix { $0 != nil }.compactMap { entry in
      guard let record = entry?.pointee, let host = record.host else { return nil }
      return ServiceRecord(
        host: String(cString: host), port: Int(record.port), priority: Int(record.priority), weight: Int(record.weight))
    }
  }
}

/// One server of a service as DNS names it: an SRV record (RFC 2782).
public struct ServiceRecord: Hashable, Sendable {
  /// The server's name, to be looked up itself; without a final dot.
  public var host: String
  /// The port it listens on.
  public var port: Int
  /// Servers with the lowest priority are used while there are any.
  public var priority = 0
  /// Its share among servers of the same priority.
  public var weight = 0
}

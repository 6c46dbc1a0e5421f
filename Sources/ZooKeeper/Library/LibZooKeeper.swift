internal import CZooKeeper
internal import Logging
internal import Reactor

// The C boundary. libzookeeper calls the functions below on its own threads; each copies what it is
// given into Swift values, puts them in the mailbox and returns. What libzookeeper keeps for us is an
// integer, never a pointer: a watch may never fire, and a session event visits every watch.

/// Addresses an answer: the session's generation in the upper 24 bits, the request's or watch's number in
/// the lower 40; number 0 is the session itself.
struct Token: Hashable, Sendable {
  private static let numberBits: UInt64 = 40

  let generation: UInt64
  let number: UInt64
}

extension Token {
  init(_ pointer: UnsafeRawPointer?) {
    let bits = UInt64(UInt(bitPattern: pointer))
    self.init(generation: bits >> Token.numberBits, number: bits & (1 << Token.numberBits - 1))
  }

  /// As libzookeeper carries it. Never dereferenced.
  var pointer: UnsafeMutableRawPointer? {
    UnsafeMutableRawPointer(bitPattern: UInt(generation << Token.numberBits | number))
  }
}

/// Content of an answer, a watch or a session event of libzookeeper.
enum LibraryMessage: Sendable {
  case nothing
  case path(String)
  case names([String])
  case stat(NodeStat)
  case data([UInt8], NodeStat)
  case watchFired(isDeletion: Bool)
  case sessionState(Int32)
  case log(LibraryLog.Line)
}

/// Carries deliveries to the loop in order, with one wake-up however many are waiting.
enum Mailbox {
  /// One message on its way from libzookeeper's thread to the loop.
  typealias Delivery = (token: Token, code: Int32, content: LibraryMessage)
  private typealias State = (waiting: [Delivery], logLines: Int, isScheduled: Bool)

  /// More lines than this waiting are too many: libzookeeper can say the same thousands of times a second.
  private static let maximumLogLines = 100

  private static let state = Locked<State>(([], 0, false))
  /// Receivers of deliveries, by the generation in the deliveries' tokens.
  @LoopActor static var receivers: [UInt64: @LoopActor (Delivery) -> Void] = [:]

  /// Posts a delivery; callable from any thread.
  static func post(_ content: LibraryMessage, to token: Token, code: Int32) {
    let mustWake = state.withLock { state in
      if case .log = content {
        guard state.logLines < maximumLogLines else { return false }
        state.logLines += 1
      }
      state.waiting.append((token, code, content))
      defer { state.isScheduled = true }
      return !state.isScheduled
    }
    if mustWake { Task { @LoopActor in drain() } }
  }

  @LoopActor private static func drain() {
    let batch = state.withLock { state in
      defer { state = ([], 0, false) }
      return state.waiting
    }
    for delivery in batch {
      if case .log(let line) = delivery.content {
        LibraryLog.write(line)
      } else {
        receivers[delivery.token.generation]?(delivery)
      }
    }
  }
}

// MARK: Called by libzookeeper

func onWatch(
  _ handle: OpaquePointer?, _ type: Int32, _ state: Int32, _ path: UnsafePointer<CChar>?,
  _ context: UnsafeMutableRawPointer?
) {
  let token = Token(context)
  if type != ZOO_SESSION_EVENT {
    Mailbox.post(.watchFired(isDeletion: type == ZOO_DELETED_EVENT), to: token, code: 0)
  } else if token.number == 0 {
    Mailbox.post(.sessionState(state), to: token, code: 0)
  }
}

func onVoid(_ code: Int32, _ context: UnsafeRawPointer?) { Mailbox.post(.nothing, to: Token(context), code: code) }

func onStat(_ code: Int32, _ stat: UnsafePointer<Stat>?, _ context: UnsafeRawPointer?) {
  Mailbox.post(code == 0 ? .stat(NodeStat(copying: stat)) : .nothing, to: Token(context), code: code)
}

func onData(
  _ code: Int32, _ bytes: UnsafePointer<CChar>?, _ count: Int32, _ stat: UnsafePointer<Stat>?,
  _ context: UnsafeRawPointer?
) {
  guard code == 0 else { return Mailbox.post(.nothing, to: Token(context), code: code) }
  // A node without data is -1 bytes long.
  let data = [UInt8](UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : Int(max(0, count))))
  Mailbox.post(.data(data, NodeStat(copying: stat)), to: Token(context), code: code)
}

func onString(_ code: Int32, _ text: UnsafePointer<CChar>?, _ context: UnsafeRawPointer?) {
  guard code == 0, let text else { return Mailbox.post(.nothing, to: Token(context), code: code) }
  Mailbox.post(.path(String(cString: text)), to: Token(context), code: code)
}

func onStrings(_ code: Int32, _ strings: UnsafePointer<String_vector>?, _ context: UnsafeRawPointer?) {
  guard code == 0, let strings else { return Mailbox.post(.nothing, to: Token(context), code: code) }
  let list = UnsafeBufferPointer(start: strings.pointee.data, count: Int(max(0, strings.pointee.count)))
  Mailbox.post(.names(list.compactMap { $0.map { String(cString: $0) } }), to: Token(context), code: code)
}

func onLogLine(_ message: UnsafePointer<CChar>?) {
  guard let message, let line = LibraryLog.parse(String(cString: message)) else { return }
  Mailbox.post(.log(line), to: Token(generation: 0, number: 0), code: 0)
}

// MARK: Values

extension NodeStat {
  /// - Parameter stat: nil is a node of which nothing is known.
  init(copying stat: UnsafePointer<Stat>?) {
    version = stat?.pointee.version ?? 0
    childVersion = stat?.pointee.cversion ?? 0
    ephemeralOwner = stat?.pointee.ephemeralOwner ?? 0
    children = stat?.pointee.numChildren ?? 0
  }
}

extension ZooKeeperError.Code {
  /// The meaning of one of libzookeeper's codes; not for `ZOK`.
  init(_ code: Int32) {
    switch ZOO_ERRORS(rawValue: code) {
    // An operation time-out is libzookeeper's name for a server that fell silent; a moved session's
    // request was not carried out here and will not be.
    case ZCONNECTIONLOSS, ZOPERATIONTIMEOUT, ZSESSIONMOVED: self = .connectionLoss
    case ZSESSIONEXPIRED, ZINVALIDSTATE: self = .sessionExpired
    case ZCLOSING: self = .closed
    case ZNONODE: self = .noNode
    case ZNODEEXISTS: self = .nodeExists
    case ZNOTEMPTY: self = .notEmpty
    case ZBADVERSION: self = .badVersion
    case ZNOAUTH, ZINVALIDACL: self = .noAuth
    case ZAUTHFAILED: self = .authFailed
    case ZNOCHILDRENFOREPHEMERALS: self = .noChildrenForEphemerals
    case ZBADARGUMENTS: self = .badArguments
    default: self = .other(code)
    }
  }

  /// Whether the request may have been carried out although it failed: everything that is not an answer
  /// of a server, which are the codes from -100 down.
  var isAmbiguous: Bool {
    switch self {
    case .connectionLoss, .closed: true
    case .other(let code): code > ZAPIERROR.rawValue
    default: false
    }
  }
}

extension NodeMode {
  /// The flags that libzookeeper expects.
  var flags: Int32 {
    switch self {
    case .ephemeral: ZOO_EPHEMERAL
    case .ephemeralSequential: ZOO_EPHEMERAL_SEQUENTIAL
    case .persistent: ZOO_PERSISTENT
    case .persistentSequential: ZOO_PERSISTENT_SEQUENTIAL
    }
  }
}

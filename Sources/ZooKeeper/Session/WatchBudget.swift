/// What a session watches: one entry per path and kind, however often it is read.
struct WatchKey: Hashable, Sendable {
  enum Kind: UInt8, Sendable {
    /// A directory's list, or its making while it is missing.
    case children, directoryCreation
    /// A node's bytes, or its making while it is missing.
    case data, nodeCreation
    /// A node of our own: its end, and others' writing to it.
    case own
  }

  var kind: Kind
  var path: String
}

/// How many bytes of watched paths a session may have.
///
/// libzookeeper re-arms every watch in one packet when it reconnects, and a server ends the connection
/// for a packet above `jute.maxbuffer` (0xfffff bytes), again and again. So the sum is kept below that,
/// and watches that others can do without stop earlier than those that they cannot.
struct WatchBudget: Sendable {
  /// Who asks, in order of importance.
  enum Purpose: Sendable {
    /// A directory: may use all of the budget.
    case directory
    /// One of our own nodes, which is looked at now and then anyway: up to seven eighths.
    case registration
    /// A node's data, which can be read at intervals instead: up to three quarters.
    case data
  }

  /// Bytes, without the packet's own few and a margin.
  let limit: Int
  /// The number of reserved bytes.
  private(set) var used = 0

  /// Three quarters of the server's limit.
  static let defaultLimit = 0xc0000

  init(limit: Int = WatchBudget.defaultLimit) { self.limit = limit }

  /// A path in the packet: its length and its bytes.
  static func cost(of path: String, chroot: String) -> Int { 4 + chroot.utf8.count + path.utf8.count }

  /// Takes `bytes` if the purpose's share allows it.
  mutating func admit(_ bytes: Int, for purpose: Purpose) -> Bool {
    let share =
      switch purpose {
      case .directory: limit
      case .registration: limit / 8 * 7
      case .data: limit / 4 * 3
      }
    guard used + bytes <= share else { return false }
    used += bytes
    return true
  }

  /// Returns reserved bytes to the budget.
  mutating func release(_ bytes: Int) { used = max(0, used - bytes) }
}

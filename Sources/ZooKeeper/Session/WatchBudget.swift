/// What a session watches: one entry per path and kind, however often it is read.
struct WatchKey: Hashable, Sendable {
  /// The kinds of watches, in order of importance.
  enum Kind: UInt8, Sendable {
    /// A directory's list, or its making while it is missing.
    case children, directoryCreation
    /// A node of our own: its end, and others' writing to it. It is looked at now and then anyway.
    case own
    /// A node's bytes, or its making while it is missing. They can be read at intervals instead.
    case data, nodeCreation
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
  /// Bytes, without the packet's own few and a margin.
  let limit: Int
  /// The number of reserved bytes.
  private(set) var used = 0

  init(limit: Int) { self.limit = limit }

  /// A path in the packet: its length and its bytes.
  static func cost(of path: String, chroot: String) -> Int { 4 + chroot.utf8.count + path.utf8.count }

  /// Reserves `bytes` if the share of the kind allows it: all of the budget for directories, seven eighths for own
  /// nodes, three quarters for data.
  mutating func admit(_ bytes: Int, for kind: WatchKey.Kind) -> Bool {
    let share =
      switch kind {
      case .children, .directoryCreation: limit
      case .own: limit / 8 * 7
      case .data, .nodeCreation: limit / 4 * 3
      }
    guard used + bytes <= share else { return false }
    used += bytes
    return true
  }

  /// Returns reserved bytes to the budget.
  mutating func release(_ bytes: Int) { used = max(0, used - bytes) }
}

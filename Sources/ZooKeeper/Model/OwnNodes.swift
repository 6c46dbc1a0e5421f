public import Reactor

/// The nodes that a client has, or may have, in its ensemble: noted before they are asked for, and struck out when a
/// server has answered that they are gone. ZooKeeper has no request for "my nodes"; with this list nobody has to search
/// directories for what a lost session, or an earlier run, has left.
@LoopActor public final class OwnNodes {
  /// One node, or a request for one.
  struct Entry: Hashable {
    /// Whether the server has given the node its name; else `path` lacks the digits of the sequential modes.
    var isMade: Bool
    var path: String
    /// The session that it goes with; 0: none.
    var session: Int64
  }

  /// Called with the line of each change.
  public var onChange: (@LoopActor (String) -> Void)?
  private var counts: [Entry: Int] = [:]
  /// What a server has refused to remove: it stays in the list for the next run, and this one asks no more.
  private var refused: Set<Entry> = []
  /// Nodes that were struck out last, oldest first.
  private var struck: [Entry] = []
  private static let maximumStruck = 200

  /// A list from the lines of its changes; those that make no sense are skipped.
  public init(lines: [String] = []) {
    for line in lines {
      let parts = line.split(separator: " ", maxSplits: 2)
      guard parts.count == 3, let session = UInt64(parts[1], radix: 16) else { continue }
      let entry = Entry(isMade: parts[0].hasSuffix("="), path: String(parts[2]), session: Int64(bitPattern: session))
      if parts[0].hasPrefix("+") { add(entry) } else { counts[entry] = nil }
    }
  }

  /// The shortest lines that make this list.
  public var lines: [String] {
    counts.flatMap { entry, count in Array(repeating: OwnNodes.line("+", for: entry), count: count) }.sorted()
  }

  /// Those of one session, or those of all other sessions; those that outlive sessions belong to the first. Without those
  /// that a server has refused to remove.
  func entries(of session: Int64, isFormer: Bool) -> [Entry] {
    counts.keys.filter { ($0.session != session && $0.session != 0) == isFormer && !refused.contains($0) }
      .sorted { $0.path < $1.path }
  }

  /// What goes with no session: persistent nodes, and the records of registries that know of no sessions.
  public var places: [String] { counts.keys.filter { $0.session == 0 }.map(\.path).sorted() }

  /// Notes a place that goes with no session.
  public func note(_ place: String) { note(Entry(isMade: true, path: place, session: 0)) }

  /// Strikes out a place that goes with no session, and is gone.
  public func strike(_ place: String) { strike(path: place, session: 0) }

  func note(_ entry: Entry) {
    guard !entry.path.contains("\n"), add(entry) else { return }
    onChange?(OwnNodes.line("+", for: entry))
  }

  /// Strikes an entry out, however often it was noted.
  func strike(_ entry: Entry) {
    guard counts.removeValue(forKey: entry) != nil else { return }
    if entry.isMade { struck = struck.suffix(OwnNodes.maximumStruck - 1) + [entry] }
    onChange?(OwnNodes.line("-", for: entry))
  }

  /// Keeps an entry for the next run: a server has refused to remove the node.
  func refuse(_ entry: Entry) { refused.insert(entry) }

  /// What was struck out last of a session: a registry that was set back may hold it again.
  func struck(of session: Int64) -> [Entry] { struck.filter { $0.session == session } }

  /// Strikes out what is known of a node that is gone.
  func strike(path: String, session: Int64) { strike(Entry(isMade: true, path: path, session: session)) }

  /// A request was answered: one less of those for this path.
  func answered(_ entry: Entry) {
    guard let count = counts[entry] else { return }
    strike(entry)
    for _ in 1..<count { note(entry) }
  }

  /// - Returns: whether it is news.
  @discardableResult
  private func add(_ entry: Entry) -> Bool {
    let count = counts[entry, default: 0]
    if entry.isMade, count > 0 { return false }
    counts[entry] = count + 1
    return true
  }

  private static func line(_ sign: String, for entry: Entry) -> String {
    "\(sign)\(entry.isMade ? "=" : "?") \(String(UInt64(bitPattern: entry.session), radix: 16)) \(entry.path)"
  }
}

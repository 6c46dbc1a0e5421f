public import SmartStack

/// What is remembered of servers, across changes and restarts: their ids, and those that left.
///
/// A server keeps its id for as long as it is remembered, so that HAProxy's statistics, stick tables and
/// `first` balancing do not jump. New servers get the lowest free ids in the order of their names; an id
/// that a registration or the configuration prescribes goes before.
public struct ServerMemory: Sendable {
  /// One server of one service.
  struct Entry: Sendable {
    var backend: Backend
    /// Unix time at which it was last known to be there.
    var lastSeen: Int
    /// Ascending in the order of first sight.
    var order: Int
    var id: Int?
    var isLive: Bool
    var isPrescribed = false
    /// Whether it was there when the state file was written that told of it.
    var wasLive = true
  }

  /// The most servers per service that are remembered after they left: names are for anybody to make up.
  public static let maximumGone = 1000

  private(set) var services: [String: [String: Entry]] = [:]
  /// Ids that a running HAProxy has given, by service and server, where ``services`` has none or another.
  private var running: [String: [String: Int]] = [:]
  var addresses = HostAddresses()
  private var nextOrder = 0

  /// Nothing is remembered yet.
  public init() {}

  /// What `service` has, in the order of first sight.
  func entries(of service: String) -> [(name: String, entry: Entry)] {
    (services[service] ?? [:]).map { (name: $0.key, entry: $0.value) }.sorted { $0.entry.order < $1.entry.order }
  }

  /// The servers of `service` that are there, or were when the state file was written, at most `ttl` seconds ago, in the
  /// order of first sight. One that had left by then is not among them: its address may be another service's by now.
  public func servers(of service: String, ttl: Int, now: Int) -> [Backend] {
    entries(of: service).filter { $0.entry.isLive || $0.entry.wasLive && abs(now - $0.entry.lastSeen) <= ttl }
      .map(\.entry.backend)
  }

  /// The servers of `service` that are copies of registrations, by their ``Backend/origin``.
  public func registrations(of service: String) -> [UInt64: Backend] {
    let servers = (services[service] ?? [:]).values.lazy.map(\.backend)
    return Dictionary(servers.compactMap { server in server.origin.map { ($0, server) } }) { first, _ in first }
  }

  /// What is known of the server of that name, there or not.
  public func server(_ name: String, of service: String) -> Backend? { services[service]?[name]?.backend }

  func entry(_ name: String, of service: String) -> Entry? { services[service]?[name] }

  /// Records the servers that are there now.
  /// - Parameters:
  ///   - live: in the registry's order; `id` is the prescribed one.
  ///   - reserved: the ids of servers that the backend's own lines have.
  /// - Returns: what to tell of servers that could not have the id they ask for, or none at all.
  mutating func observe(
    _ live: [(name: String, backend: Backend, id: Int?)], of service: String, reserved: Set<Int> = [],
    maxServerID: Int, ttl: Int, now: Int
  ) -> [(name: String, message: String)] {
    var entries = services[service] ?? [:]
    for index in entries.values.indices where entries.values[index].isLive || entries.values[index].wasLive {
      if entries.values[index].isLive { entries.values[index].lastSeen = now }
      entries.values[index].isLive = false
      entries.values[index].wasLive = false
    }
    for server in live {
      guard let index = entries.index(forKey: server.name) else {
        entries[server.name] = newEntry(server.backend, isPrescribed: server.id != nil, now: now)
        continue
      }
      entries.values[index].backend = server.backend
      entries.values[index].lastSeen = now
      entries.values[index].isLive = true
      entries.values[index].isPrescribed = server.id != nil
    }
    forget(&entries, of: service, ttl: ttl, now: now)
    var ids = IDs(entries: entries, running: running[service] ?? [:], own: reserved, maximum: maxServerID)
    var messages = ids.prescribe(live)
    messages += ids.assign()
    services[service] = ids.entries
    if let given = running[service], !given.isEmpty { record(running: given, of: service) }
    return messages
  }

  /// Records the ids that servers of a running HAProxy have: they keep them where nothing else is
  /// known, also when they are forgotten and return, and new servers get others as long as there are others.
  mutating func record(running ids: [String: Int], of service: String) {
    let known = services[service] ?? [:]
    running[service] = ids.filter { known[$0.key]?.id != $0.value }
  }

  private mutating func newEntry(_ backend: Backend, isPrescribed: Bool, now: Int) -> Entry {
    defer { nextOrder += 1 }
    return Entry(
      backend: backend, lastSeen: now, order: nextOrder, id: nil, isLive: true, isPrescribed: isPrescribed,
      wasLive: false)
  }

  /// Drops what left longer ago than `ttl`, and the longest gone when there are too many. What a running HAProxy has of
  /// that keeps its id there, in case it returns.
  private mutating func forget(_ entries: inout [String: Entry], of service: String, ttl: Int, now: Int) {
    let gone = entries.filter { !$0.value.isLive }.map { (lastSeen: $0.value.lastSeen, name: $0.key) }.sorted {
      $0 < $1
    }
    let surplus = max(0, gone.count - ServerMemory.maximumGone)
    for (index, server) in gone.enumerated() where index < surplus || abs(now - server.lastSeen) > ttl {
      running[service]?[server.name] = entries[server.name]?.id
      entries[server.name] = nil
    }
  }

  /// Drops what left longer ago than `ttl`, in all services.
  /// - Returns: the services that lost a server by it.
  mutating func expire(ttl: Int, now: Int) -> [String] {
    var changed: [String] = []
    addresses.keep(Set(services.values.lazy.flatMap(\.values).map(\.backend.host)))
    for (service, entries) in services {
      var kept = entries
      forget(&kept, of: service, ttl: ttl, now: now)
      guard kept.count != entries.count else { continue }
      services[service] = kept.isEmpty ? nil : kept
      changed.append(service)
    }
    return changed
  }

  /// Puts back a server that a state file tells of.
  mutating func restore(_ entry: Entry, of service: String) {
    var entry = entry
    entry.order = nextOrder
    nextOrder += 1
    services[service, default: [:]][entry.backend.serverName] = entry
  }
}

/// Gives ids to one service's servers.
private struct IDs {
  var entries: [String: ServerMemory.Entry]
  private var holders: [Int: String] = [:]
  private let running: [String: Int]
  private lazy var runningHolders = Dictionary(running.map { ($1, $0) }) { $1 }
  private lazy var reserved = Set(running.values)
  /// Those of servers that are not synapse's: never given.
  private let own: Set<Int>
  private let maximum: Int
  private var candidate = 1

  init(entries: [String: ServerMemory.Entry], running: [String: Int], own: Set<Int>, maximum: Int) {
    self.entries = entries
    self.running = running
    self.own = own
    self.maximum = maximum
    for (name, entry) in entries {
      guard let id = entry.id else { continue }
      // A state file may have been edited by hand: the first to claim an id keeps it.
      let holder = holders[id]
      if own.contains(id) || holder.flatMap({ entries[$0] }).map({ $0.order < entry.order }) == true {
        self.entries[name]?.id = nil
      } else {
        if let holder { self.entries[holder]?.id = nil }
        holders[id] = name
      }
    }
  }

  mutating func prescribe(
    _ live: [(name: String, backend: Backend, id: Int?)]
  ) -> [(name: String, message: String)] {
    var messages: [(name: String, message: String)] = []
    var claimed: [Int: String] = [:]
    for server in live.filter({ $0.id != nil }).sorted(by: { $0.name < $1.name }) {
      guard let id = server.id else { continue }
      if id == entries[server.name]?.id, claimed[id] == nil {
        claimed[id] = server.name
        continue
      }
      let line = own.contains(id) ? "a server of the backend's own lines" : nil
      if let other = line ?? claimed[id] ?? claimant(of: id, for: server) {
        messages.append((server.name, "asks for id \(id), which \(other) has; it gets another"))
        entries[server.name]?.isPrescribed = false
        continue
      }
      if let loser = holders[id] { entries[loser]?.id = nil }
      if let old = entries[server.name]?.id, holders[old] == server.name { holders[old] = nil }
      entries[server.name]?.id = id
      holders[id] = server.name
      claimed[id] = server.name
    }
    return messages
  }

  /// The server that is there and keeps the id. Only a configuration file takes an id from a server that has it by
  /// chance: everybody can write registrations.
  private mutating func claimant(of id: Int, for server: (name: String, backend: Backend, id: Int?)) -> String? {
    let known = holders[id] ?? runningHolders[id].flatMap { entries[$0]?.id == nil ? $0 : nil }
    guard let holder = known, holder != server.name, let entry = entries[holder], entry.isLive else { return nil }
    return entry.isPrescribed || server.backend.haproxyServerID != id ? holder : nil
  }

  /// Live servers first: those that left must not keep an id from one that is there.
  mutating func assign() -> [(name: String, message: String)] {
    var messages: [(name: String, message: String)] = []
    let without = entries.filter { $0.value.id == nil }
    for (name, _) in without.sorted(by: { $0.key < $1.key }) {
      if let id = running[name], holders[id] == nil, !own.contains(id) { give(id, to: name) }
    }
    for (name, _) in without.filter(\.value.isLive).sorted(by: { $0.key < $1.key })
    where entries[name]?.id == nil {
      guard let id = free() ?? recycled() else {
        messages.append((name, "gets no id of its own: all up to max_server_id (\(maximum)) are taken"))
        continue
      }
      give(id, to: name)
    }
    for (name, _) in without.filter({ !$0.value.isLive }).sorted(by: { $0.key < $1.key }) {
      if entries[name] != nil, entries[name]?.id == nil, let id = free() { give(id, to: name) }
    }
    return messages
  }

  private mutating func give(_ id: Int, to name: String) {
    entries[name]?.id = id
    holders[id] = name
  }

  private mutating func free() -> Int? {
    while candidate <= maximum {
      if holders[candidate] == nil, !reserved.contains(candidate), !own.contains(candidate) { return candidate }
      candidate += 1
    }
    return reserved.filter { $0 <= maximum && holders[$0] == nil && !own.contains($0) }.min()
  }

  /// The id of the server that left longest ago, which is forgotten by it.
  private mutating func recycled() -> Int? {
    let gone = entries.filter { !$0.value.isLive && ($0.value.id ?? Int.max) <= maximum }
    guard let oldest = gone.min(by: { ($0.value.lastSeen, $0.key) < ($1.value.lastSeen, $1.key) }),
      let id = oldest.value.id
    else { return nil }
    entries[oldest.key] = nil
    holders[id] = nil
    return id
  }
}

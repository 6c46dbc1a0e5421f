internal import Reactor
public import Registry
public import SmartStack

/// Turns readings of a registry into the servers that a service offers: pure, with `now` as a value.
///
/// The order of the steps is upstream's: port override and default servers come first, then what to do
/// with an empty reading, then the filters. A filter that leaves nothing therefore leaves nothing.
public struct BackendPolicy: Sendable {
  /// The rules, as configured.
  public struct Rules: Hashable, Sendable {
    /// Offered while the registry has none.
    public var defaultServers: [Backend] = []
    /// Whether they are offered beside the registry's too.
    public var keepsDefaultServers = false
    /// Whether an emptied registry leaves the last servers in place.
    public var usesPreviousBackends = true
    /// Servers that vanish one by one, each within this time of the one before, are taken for one
    /// disappearance: what is kept is the set before the first went, not the last one left. Longer survives
    /// slower mass expiries; shorter forgets servers sooner that went for good just before an outage.
    public var previousBackendsWindow: Duration = .seconds(5)
    /// Replaces the port of every registration (not of the default servers when they stand alone).
    public var portOverride: Int?
    /// Filters that must all hold.
    public var labelFilters: [LabelFilter] = []
    /// For this long after a lost connection to the registry has come back, a service that would lose more than half of
    /// its servers keeps them. Longer survives a fleet that registers again slowly; shorter forgets sooner what went for
    /// good during an outage. Zero: never.
    public var settle: Duration = .seconds(10)
    /// Only the registration with the lowest sequence number.
    public var electsLeader = false

    /// Rules with upstream's defaults.
    public init() {}
  }

  /// What was done with a reading, for the log.
  public enum Note: Hashable, Sendable {
    case usedDefaults
    case keptPrevious(Int)
    case droppedAll
    case preserved(Int)
    case released(Int)
    case noLeader(reason: String)
  }

  private let rules: Rules
  /// What is offered, before the filters.
  private var current: [Backend]
  /// The registry's last reading that held something, and when it was.
  private var last: (backends: [Backend], at: ContinuousClock.Instant)?
  /// The set before the present run of disappearances.
  private var whole: [Backend] = []
  private var isFallback = true
  /// The servers from before a lost connection, while readings are right after it: many small losses are a large one.
  private var before: [Backend]?
  /// The servers that stand for readings with too few of those.
  private var preserved: [Backend]?
  /// Whether servers are offered that the last reading has not.
  public private(set) var isPreserved = false
  /// Whether there was a reading that was not right after an outage. Before, as after a start in an outage, only the outputs
  /// know what was served, and a reading is a part of it.
  public private(set) var hasSettled = false
  /// Servers of the last reading that are registered more than once, and not alike.
  public private(set) var conflicts: [RegistrationConflict] = []

  /// Nothing read so far: the default servers.
  public init(_ rules: Rules) {
    self.rules = rules
    current = rules.defaultServers
  }

  /// Applies the rules to one complete reading.
  /// - Parameter isSettling: whether the registry's connection has just come back: it may not hold yet what it held.
  /// - Returns: what to say about it.
  public mutating func apply(
    _ reading: [Backend], isSettling: Bool = false, now: ContinuousClock.Instant
  ) -> [Note] {
    let reading = prepared(reading)
    isPreserved = false
    hasSettled = hasSettled || !isSettling
    before = isSettling ? before ?? last?.backends : nil
    if isSettling, let kept = preserve(beside: reading, now: now) {
      let isNews = preserved == nil
      (preserved, isPreserved) = (kept, true)
      let names = Set(reading.map(\.serverName))
      current = reading + kept.filter { !names.contains($0.serverName) }
      return isNews ? [.preserved(current.count - reading.count)] : []
    }
    let wasPreserved = preserved != nil
    preserved = nil
    return apply(whole: reading, now: now) + (wasPreserved ? [.released(reading.count)] : [])
  }

  /// The servers to keep beside a reading that has lost more than half of them. A session that ends takes its nodes one by
  /// one: those that went a moment before are among them.
  private func preserve(beside reading: [Backend], now: ContinuousClock.Instant) -> [Backend]? {
    guard let before else { return nil }
    let kept = preserved ?? previous(now: now)
    let names = Set(reading.map(\.serverName))
    let lost = before.count { !names.contains($0.serverName) }
    return lost * 2 > before.count ? kept : nil
  }

  private mutating func apply(whole reading: [Backend], now: ContinuousClock.Instant) -> [Note] {
    guard reading.isEmpty else {
      remember(reading, now: now)
      current = reading
      isFallback = false
      return []
    }
    let wasFallback = isFallback
    isFallback = true
    if !rules.defaultServers.isEmpty {
      current = rules.defaultServers
      return wasFallback ? [] : [.usedDefaults]
    }
    if rules.usesPreviousBackends {
      let previous = previous(now: now)
      if !previous.isEmpty { current = previous }
      isPreserved = !current.isEmpty
      return wasFallback || current.isEmpty ? [] : [.keptPrevious(current.count)]
    }
    current = []
    return wasFallback ? [] : [.droppedAll]
  }

  /// The servers to offer, filtered and elected.
  public var backends: [Backend] {
    let filtered = current.filter(isWanted)
    guard rules.electsLeader else { return filtered }
    // Without a number on each there is no telling who is first: nobody is better than two.
    guard filtered.allSatisfy({ $0.id != nil }) else { return [] }
    return filtered.min { ($0.id ?? 0) < ($1.id ?? 0) }.map { [$0] } ?? []
  }

  /// Why an election has no winner, if it is on and has none.
  public var electionProblem: Note? {
    guard rules.electsLeader, backends.isEmpty else { return nil }
    let hasCandidates = current.contains(where: isWanted)
    return .noLeader(reason: hasCandidates ? "not every registration has a sequence number" : "no registrations")
  }

  private func isWanted(_ backend: Backend) -> Bool {
    rules.labelFilters.allSatisfy { $0.accepts(backend.labels) }
  }

  /// Which of two registrations of one server counts. It may be registered in two places with the labels of each, when
  /// these share a registry; then the one that is asked for. Else, as after an outage, the newer.
  private func isTruer(_ one: Backend, than other: Backend) -> Bool {
    let (isWanted, isOtherWanted) = (isWanted(one), isWanted(other))
    if isWanted != isOtherWanted { return isWanted }
    return one.id.map { $0 > other.id ?? Int.min } ?? false
  }

  private mutating func prepared(_ reading: [Backend]) -> [Backend] {
    /// The first server of each host and port, and the others, which are rare.
    var places: [Endpoint: Int] = [:]
    var others: [Endpoint: [Int]] = [:]
    var result: [Backend] = []
    result.reserveCapacity(reading.count)
    conflicts = []
    for var backend in rules.keepsDefaultServers ? reading + rules.defaultServers : reading {
      if let port = rules.portOverride { backend.port = port }
      let endpoint = Endpoint.tcp(host: backend.host, port: backend.port)
      guard let first = places[endpoint] else {
        places[endpoint] = result.count
        result.append(backend)
        continue
      }
      if isWanted(backend), isWanted(result[first]),
        let conflict = RegistrationConflict(result[first], with: backend)
      {
        conflicts.append(conflict)
      }
      let all = [first] + others[endpoint, default: []]
      if let place = all.first(where: { (result[$0].name ?? "") == (backend.name ?? "") }) {
        if isTruer(backend, than: result[place]) { result[place] = backend }
      } else {
        others[endpoint, default: []].append(result.count)
        result.append(backend)
      }
    }
    return result
  }

  private mutating func remember(_ reading: [Backend], now: ContinuousClock.Instant) {
    defer { last = (reading, now) }
    guard let last else {
      whole = reading
      return
    }
    guard reading.count < last.backends.count else {
      whole = reading
      return
    }
    let names = Set(last.backends.map(\.serverName))
    let isShrinking = reading.allSatisfy { names.contains($0.serverName) }
    if !isShrinking {
      whole = reading
    } else if now - last.at > rules.previousBackendsWindow {
      whole = last.backends
    }
  }

  /// The set to fall back to when the registry has just become empty.
  private func previous(now: ContinuousClock.Instant) -> [Backend] {
    guard let last else { return [] }
    return now - last.at > rules.previousBackendsWindow ? last.backends : whole
  }
}

/// Why the file must be loaded again.
public struct ReloadReason: Hashable, Sendable, Comparable, CustomStringConvertible {
  /// One clause for the log.
  public var description: String
  /// The service whose servers or lines ask for it; nil: it concerns all.
  public var service: String?

  /// A reason of one service, or of all.
  public init(_ description: String, service: String? = nil) {
    self.description = description
    self.service = service
  }

  /// In the order of their texts.
  public static func < (one: ReloadReason, other: ReloadReason) -> Bool { one.description < other.description }
}

/// What to do so that a running HAProxy serves what is wanted; an empty plan: it serves it already.
public struct Plan: Hashable, Sendable {
  /// Why the file must be loaded again; empty: commands are enough.
  public internal(set) var reloadReasons: [ReloadReason] = []
  /// Added servers come first, so that capacity is there before it is taken away.
  var arrivals: [RuntimeCommand] = []
  var changes: [RuntimeCommand] = []
  var departures: [RuntimeCommand] = []

  /// A plan that does nothing.
  public init() {}

  /// The commands in their order. A refusal of one that is not optional means: reload. With a reload, they are what
  /// can be done until then (reloads are rate-limited; a server that left must not wait for one).
  public var commands: [RuntimeCommand] { arrivals + changes + departures }

  /// Whether servers leave, which HAProxy may have to be asked for again: not before their connections have ended.
  public var hasDepartures: Bool { !departures.isEmpty }

  /// Whether nothing is to be done.
  public var isEmpty: Bool { reloadReasons.isEmpty && commands.isEmpty }

  /// Adds what is to be done for one server.
  mutating func add(_ more: Plan) {
    reloadReasons += more.reloadReasons
    arrivals += more.arrivals
    changes += more.changes
    departures += more.departures
  }
}

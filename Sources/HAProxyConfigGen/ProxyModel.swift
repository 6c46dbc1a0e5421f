public import SmartStack

/// The configuration that is wanted: everything the file says, kept up to date service by service.
public struct ProxyModel: Sendable {
  /// The top-level section.
  public let settings: GeneratorSettings
  /// What is known of servers that were there: ids and those that left.
  public private(set) var memory: ServerMemory

  /// A model without servers; services appear in the file in this order.
  public init(settings: GeneratorSettings, services: [ServiceSettings], memory: ServerMemory) {
    self.settings = settings
    self.memory = memory
  }

  /// What was worked around, in the file's order.
  public var problems: [ConfigProblem] { [] }

  /// Takes a service's servers as they are at `now` (Unix time, seconds). Unknown services are ignored.
  public mutating func apply(_ snapshot: ServiceSnapshot, now: Int) {}

  /// Takes other settings for a known service, as its registry may hold.
  public mutating func replace(_ settings: ServiceSettings, now: Int) {}

  /// Forgets servers whose time is over; true if the file changes by it.
  public mutating func expire(now: Int) -> Bool { false }

  /// Leaves out what `haproxy -c` refused of the file that was rendered from this model.
  /// - Returns: whether anything could be left out, so that rendering and checking again makes sense.
  ///   If not, the file cannot be repaired and the old one must stay.
  public mutating func leaveOut(refusedBy report: CheckReport, of file: RenderedConfiguration) -> Bool { false }

  /// The file.
  public func render() -> RenderedConfiguration { RenderedConfiguration(text: "") }

  /// The state file's content at `now` (Unix time, seconds), in upstream's format.
  public mutating func stateFile(now: Int) -> [UInt8] { [] }
}

/// A rendered file: its text, and for each line where it came from.
public struct RenderedConfiguration: Sendable {
  /// The text; ends with a newline.
  public let text: String

  /// Where line `number` (1 is the first) came from; nil past the end.
  public func origin(ofLine number: Int) -> LineOrigin? { nil }
}

/// What `haproxy -c` said of a file.
public struct CheckReport: Hashable, Sendable {
  /// One complaint that keeps HAProxy from starting.
  public struct Alert: Hashable, Sendable {
    /// The line it is about; nil if HAProxy names none.
    public var line: Int?
    /// The proxy it is about, if HAProxy names one instead of a line.
    public var proxy: String?
    /// HAProxy's words.
    public var message: String
  }

  /// The complaints, in HAProxy's order.
  public var alerts: [Alert] = []

  /// Reads the output of `haproxy -c -f path`.
  public init(output: String, path: String) {}
}

/// What HAProxy has loaded: fingerprints of sections and of servers' options.
///
/// HAProxy does not tell these over its socket, so the agent keeps this value: made from the file's
/// text when HAProxy loads it, carried on with every set of commands that was obeyed.
public struct LoadedConfiguration: Equatable, Sendable {
  /// What HAProxy has after it loaded a file with this text.
  public init(text: String) {}

  /// After the planned commands were obeyed and `text` is the file that goes with them.
  public mutating func update(text: String) {}
}

/// Compares and plans.
public enum Planner {
  /// What to do so that `running` serves what `wanted` says.
  /// - Parameter loaded: what HAProxy has loaded; nil when that is not known, which means a reload.
  public static func plan(running: RunningProxy, loaded: LoadedConfiguration?, wanted: ProxyModel) -> Plan { .nothing }
}

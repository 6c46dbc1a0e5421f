/// All mistakes of a section, in the order in which they were found: reading goes on with a fallback after each.
///
/// ```swift
/// let problems = ConfigProblems()
/// let port = problems.read(default: 0) { try section.int("port", in: 1...65535) }
/// let check = problems.read { try section.optionalSection("check") }
/// ```
public final class ConfigProblems {
  /// The mistakes, the first one found first.
  public private(set) var errors: [ConfigError] = []

  /// Creates an empty collection.
  public init() {}

  /// Whether nothing was wrong.
  public var isEmpty: Bool { errors.isEmpty }

  /// Adds a mistake that was found elsewhere.
  public func record(_ error: ConfigError) { errors.append(error) }

  /// Runs `body`; a mistake is recorded, and gives nil.
  public func read<Value>(_ body: () throws(ConfigError) -> Value?) -> Value? {
    do {
      return try body()
    } catch {
      errors.append(error)
      return nil
    }
  }

  /// Runs `body`; a mistake is recorded, and gives `fallback`.
  public func read<Value>(default fallback: Value, _ body: () throws(ConfigError) -> Value) -> Value {
    do {
      return try body()
    } catch {
      errors.append(error)
      return fallback
    }
  }

  /// Throws the first mistake, for a caller that goes on only when there is none.
  public func throwFirst() throws(ConfigError) {
    if let first = errors.first { throw first }
  }
}

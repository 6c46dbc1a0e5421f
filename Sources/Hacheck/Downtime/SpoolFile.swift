internal import SmartStack

/// What a file of the spool says: `{"reason": …, "expiration": …, "creation": …}`, or, in the old format,
/// the reason and nothing else.
public struct SpoolFile: Equatable {
  /// The operator's reason; may be empty.
  public var reason: String
  /// The end, in seconds since 1970; nil: none.
  public var expiration: Double?
  /// The beginning, in seconds since 1970; nil: unknown.
  public var creation: Double?

  /// Of longer files only that they are there is known.
  static let longest = 65_536

  init(reason: String, expiration: Double?, creation: Double?) {
    self.reason = reason
    self.expiration = expiration
    self.creation = creation
  }

  /// Reads a file's contents, whatever they are. What is not a JSON object is the reason.
  /// A time that is not a number counts as absent: the downtime then holds until somebody lifts it.
  init(contents: [UInt8]) {
    guard let value = JSONValue(contents, dialect: .python), case .object = value else {
      self.init(reason: String(decoding: contents, as: UTF8.self), expiration: nil, creation: nil)
      return
    }
    self.init(
      reason: SpoolFile.words(value["reason"]), expiration: value["expiration"]?.double,
      creation: value["creation"]?.double)
  }

  /// What upstream prints for a reason that is not a text.
  private static func words(_ value: JSONValue?) -> String {
    switch value {
    case nil, .null, .bool(false): ""
    case .bool(true): "True"
    case .string(let text): text
    case .some(let other): other.description
    }
  }

  /// The file's contents, as upstream writes them.
  var contents: [UInt8] {
    let times = [expiration, creation].map { $0.map { "\($0)" } ?? "null" }
    return Array(
      "{\"reason\": \(JSONText.asciiQuoted(reason)), \"expiration\": \(times[0]), \"creation\": \(times[1])}".utf8)
  }

  /// The downtime of the scope that the file's name means.
  public func downtime(of scope: SpoolScope) -> Downtime {
    Downtime(scope: scope, reason: reason, creation: creation, expiration: expiration)
  }
}

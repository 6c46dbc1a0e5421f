public import Reactor
internal import SmartStack

/// A downtime as its file in the spool: `{"reason": …, "expiration": …, "creation": …, "by": …}`, or, in the old format,
/// the reason and nothing else. Upstream's programs write no `by`, and ignore it.
extension Downtime {
  /// Of longer files only that they are there is known.
  static let longestFile = 65_536

  /// Reads a file's contents, whatever they are. What is not a JSON object is the reason.
  /// A time that is not a number counts as absent: the downtime then holds until somebody lifts it.
  /// - Parameter scope: the scope that the file's name means.
  init(of scope: SpoolScope, contents: [UInt8]) {
    guard let value = JSONValue(contents, dialect: .python), case .object = value else {
      self.init(scope: scope, reason: String(decoding: contents, as: UTF8.self), creation: nil, expiration: nil)
      return
    }
    self.init(
      scope: scope, reason: Downtime.words(value["reason"]), creation: value["creation"]?.double,
      expiration: value["expiration"]?.double, setter: value["by"]?.string)
  }

  /// The downtime of a file that is there and cannot be read: somebody asked for one, and its end is not known.
  public init(unread name: String, because error: FileError) {
    self.init(
      scope: SpoolScope(fileName: name), reason: "(\(error.reason))", creation: nil, expiration: nil, setter: nil)
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
  var fileContents: [UInt8] {
    let times = [expiration, creation].map { $0.map { "\($0)" } ?? "null" }
    let by = setter.map { ", \"by\": \(JSONText.asciiQuoted($0))" } ?? ""
    return Array(
      "{\"reason\": \(JSONText.asciiQuoted(reason)), \"expiration\": \(times[0]), \"creation\": \(times[1])\(by)}".utf8)
  }
}

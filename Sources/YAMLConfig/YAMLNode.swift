internal import SmartStack

/// One value of a document, with the place it was read from.
public struct YAMLNode: Sendable {
  /// What the node holds.
  public enum Value: Sendable {
    case scalar(YAMLScalar)
    case sequence([YAMLNode])
    /// In the file's order; every name once.
    case mapping([YAMLEntry])
  }

  /// What the node holds.
  public let value: Value
  /// Where its first character stands; for what came through an alias, where the anchored text stands.
  public let position: YAMLPosition
  let trail: YAMLTrail?

  init(_ value: Value, at position: YAMLPosition, trail: YAMLTrail?) {
    self.value = value
    self.position = position
    self.trail = trail
  }

  /// The name of the file.
  public var file: String { position.file }
  /// The line's number, from 1.
  public var line: Int { Int(position.line) }
  /// From 1, in characters.
  public var column: Int { Int(position.column) }
  /// Keys from the top: `services.web.checks[0].type`; for what came through an alias, where it is used.
  public var path: String { trail?.description ?? "" }

  /// An error or warning at this node.
  public func error(_ problem: String) -> ConfigError {
    ConfigError(file: file, line: line, column: column, path: path, problem: problem)
  }

  /// The node without its value: for messages about what was read from it.
  public var place: YAMLNode { YAMLNode(.scalar(YAMLScalar(text: "", kind: .null)), at: position, trail: trail) }

  /// The value as words of an error: `the text 'abc'`, `a list`, `null`.
  public var summary: String {
    switch value {
    case .sequence: "a list"
    case .mapping: "a mapping"
    case .scalar(let scalar): scalar.summary
    }
  }

  /// Whether this is a plain `null`, `~` or nothing at all.
  public var isNull: Bool {
    if case .scalar(let scalar) = value { scalar.kind == .null } else { false }
  }

  /// The value of `key` when this is a mapping that has it, even if that is null.
  public subscript(key: String) -> YAMLNode? {
    guard case .mapping(let entries) = value else { return nil }
    return entries.first { $0.name == key }?.value
  }

  /// Returns the value with another trail, as reached from another place of the tree.
  func moved(to trail: YAMLTrail?) -> YAMLNode {
    let moved: Value =
      switch value {
      case .scalar: value
      case .sequence(let items):
        .sequence(items.enumerated().map { $1.moved(to: YAMLTrail(below: trail, index: $0)) })
      case .mapping(let entries):
        .mapping(
          entries.map { YAMLEntry(key: $0.key, value: $0.value.moved(to: YAMLTrail(below: trail, key: $0.name))) })
      }
    return YAMLNode(moved, at: position, trail: trail)
  }
}

/// One key and its value.
public struct YAMLEntry: Sendable {
  /// The key as a scalar: `yes:` is the boolean true for `json()`, the text `yes` for ``name``.
  public let key: YAMLNode
  /// What stands at it.
  public let value: YAMLNode

  /// The key's text as written.
  public var name: String {
    if case .scalar(let scalar) = key.value { scalar.text } else { "" }
  }
}

/// A place in a file.
public struct YAMLPosition: Sendable {
  let file: String
  let line: Int32
  let column: Int32
}

/// The way from the top of a document to a node; written out only when an error needs it.
final class YAMLTrail: Sendable, CustomStringConvertible {
  private let parent: YAMLTrail?
  /// nil for an item of a list.
  private let key: String?
  private let index: Int

  init(below parent: YAMLTrail?, key: String) { (self.parent, self.key, index) = (parent, key, 0) }

  init(below parent: YAMLTrail?, index: Int) { (self.parent, key, self.index) = (parent, nil, index) }

  var description: String {
    let before = parent?.description ?? ""
    guard let key else { return "\(before)[\(index)]" }
    return before.isEmpty ? YAMLTrail.shown(key) : "\(before).\(YAMLTrail.shown(key))"
  }

  private static func shown(_ key: String) -> String {
    let isPlain = !key.isEmpty && key.unicodeScalars.allSatisfy { $0.value > 0x20 && !$0.breaksLine }
    return isPlain ? key : JSONText.quoted(key)
  }
}

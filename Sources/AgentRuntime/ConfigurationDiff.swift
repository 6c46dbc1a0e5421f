public import SmartStack

/// What changes from one JSON configuration to another, part by part: each service, and each of the other sections.
public struct ConfigurationDiff {
  /// One part that differs.
  public struct Part: Equatable, Sendable {
    /// `services.web.main`, `haproxy`.
    public var name: String
    /// Lines with `-`, `+` or a blank before them, a few lines around each change.
    public var lines: [String]
    /// Whether it is only in the one or the other.
    public var isNew: Bool
    /// Whether it is only in the old one.
    public var isGone: Bool
  }

  /// In the order of their names.
  public let parts: [Part]
  private static let style = JSONStyle.pythonPretty

  /// - Parameter before: nil or nothing readable counts as an empty file.
  public init(from before: JSONValue?, to after: JSONValue) {
    let (old, new) = (ConfigurationDiff.split(before), ConfigurationDiff.split(after))
    let names = Set(old.keys).union(new.keys).sorted()
    parts = names.compactMap { name in
      guard old[name] != new[name] else { return nil }
      let lines = ConfigurationDiff.lines(
        old[name].map(ConfigurationDiff.text) ?? [], new[name].map(ConfigurationDiff.text) ?? [])
      return Part(name: name, lines: lines, isNew: old[name] == nil, isGone: new[name] == nil)
    }
  }

  /// The parts as text.
  /// - Parameters:
  ///   - isWhole: with the lines that change, not only the parts' names.
  ///   - isColoured: for a terminal: red and green.
  public func text(isWhole: Bool, isColoured: Bool) -> String {
    func colour(_ code: Int, _ line: String) -> String { isColoured ? "\u{1B}[\(code)m\(line)\u{1B}[0m" : line }
    var out = ""
    for part in parts {
      let head = part.isNew ? "+ \(part.name)" : part.isGone ? "- \(part.name)" : "~ \(part.name)"
      out += colour(part.isNew ? 32 : part.isGone ? 31 : 33, head) + "\n"
      guard isWhole else { continue }
      for line in part.lines {
        switch line.utf8.first {
        case UInt8(ascii: "+"): out += colour(32, line) + "\n"
        case UInt8(ascii: "-"): out += colour(31, line) + "\n"
        default: out += line + "\n"
        }
      }
    }
    return out
  }

  private static func split(_ root: JSONValue?) -> [String: JSONValue] {
    var parts: [String: JSONValue] = [:]
    for (key, value) in root?.object?.members ?? [] {
      guard key == "services", let services = value.object else {
        parts[key] = value
        continue
      }
      for (name, service) in services.members { parts["services." + name] = service }
    }
    return parts
  }

  private static func text(_ value: JSONValue) -> [String] {
    value.text(style).split(separator: "\n").map(String.init)
  }

  /// All changed lines with two lines around each; `...` where lines are left out.
  static func lines(_ old: [String], _ new: [String]) -> [String] {
    let difference = new.difference(from: old)
    var removed = Set<Int>()
    var inserted = Set<Int>()
    for change in difference {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, _, _): inserted.insert(offset)
      }
    }
    var all: [String] = []
    var (i, j) = (0, 0)
    while i < old.count || j < new.count {
      if removed.contains(i) {
        all.append("-" + old[i])
        i += 1
      } else if inserted.contains(j) {
        all.append("+" + new[j])
        j += 1
      } else {
        all.append(" " + new[j])
        (i, j) = (i + 1, j + 1)
      }
    }
    return shortened(all)
  }

  private static func shortened(_ lines: [String]) -> [String] {
    var isShown = [Bool](repeating: false, count: lines.count)
    for (index, line) in lines.enumerated() where !line.hasPrefix(" ") {
      for near in max(0, index - 2)...min(lines.count - 1, index + 2) { isShown[near] = true }
    }
    var out: [String] = []
    for (index, line) in lines.enumerated() {
      if isShown[index] { out.append(line) } else if index == 0 || isShown[index - 1] { out.append(" ...") }
    }
    return out
  }
}

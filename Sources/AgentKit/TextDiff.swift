/// The difference between two texts, line by line, for operators to read.
public enum TextDiff {
  /// Beyond this many differing lines in the middle, the old ones are shown as removed and the new ones as added: to
  /// find the shortest difference takes time in proportion to the product of the two.
  static let mostLines = 4_000

  /// A line, with a minus if only the old text has it, a plus if only the new one has it, and a blank otherwise.
  private typealias Line = (sign: Character, text: Substring)

  /// In the unified format, with three lines around each change; empty when the texts have the same lines.
  /// - Parameters:
  ///   - old: nil for a file that is not there.
  ///   - names: how the two are called at the top.
  ///   - inColor: red, green and cyan, for a terminal.
  public static func unified(
    from old: String?, to new: String, names: (old: String, new: String), inColor: Bool = false
  ) -> String {
    let lines = compare(old: TextDiff.lines(old ?? ""), new: TextDiff.lines(new))
    guard lines.contains(where: { $0.sign != " " }) else { return "" }
    var out = paint("--- \(old == nil ? "/dev/null" : names.old)\n+++ \(names.new)\n", code: 1, inColor: inColor)
    for hunk in hunks(lines) {
      let before = lines[..<hunk.lowerBound]
      let inside = lines[hunk]
      let starts = (before.count { $0.sign != "+" }, before.count { $0.sign != "-" })
      let counts = (inside.count { $0.sign != "+" }, inside.count { $0.sign != "-" })
      out +=
        paint(
          "@@ -\(range(after: starts.0, count: counts.0)) +\(range(after: starts.1, count: counts.1)) @@", code: 36,
          inColor: inColor) + "\n"
      for (sign, text) in inside {
        let line = "\(sign)\(text)"
        out += (sign == " " ? line : paint(line, code: sign == "-" ? 31 : 32, inColor: inColor)) + "\n"
      }
    }
    return out
  }

  private static func lines(_ text: String) -> [Substring] {
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    if lines.last?.isEmpty == true { lines.removeLast() }
    return lines
  }

  private static func range(after before: Int, count: Int) -> String {
    let start = count == 0 ? before : before + 1
    return count == 1 ? "\(start)" : "\(start),\(count)"
  }

  private static func compare(old: [Substring], new: [Substring]) -> [Line] {
    let head = zip(old, new).prefix { $0 == $1 }.count
    let tail = zip(old[head...].reversed(), new[head...].reversed()).prefix { $0 == $1 }.count
    let (oldMiddle, newMiddle) = (old[head..<(old.count - tail)], new[head..<(new.count - tail)])
    var lines = old[..<head].map { Line(" ", $0) }
    if oldMiddle.count + newMiddle.count > mostLines {
      lines += oldMiddle.map { ("-", $0) } + newMiddle.map { ("+", $0) }
    } else {
      lines += merge(old: Array(oldMiddle), new: Array(newMiddle))
    }
    return lines + old[(old.count - tail)...].map { (" ", $0) }
  }

  private static func merge(old: [Substring], new: [Substring]) -> [Line] {
    var removed: Set<Int> = []
    var added: Set<Int> = []
    for change in new.difference(from: old) {
      switch change {
      case .remove(let offset, _, _): removed.insert(offset)
      case .insert(let offset, _, _): added.insert(offset)
      }
    }
    var lines: [Line] = []
    var (i, j) = (0, 0)
    while i < old.count || j < new.count {
      if i < old.count, removed.contains(i) {
        lines.append(("-", old[i]))
        i += 1
      } else if j < new.count, added.contains(j) {
        lines.append(("+", new[j]))
        j += 1
      } else {
        lines.append((" ", old[i]))
        i += 1
        j += 1
      }
    }
    return lines
  }

  /// The parts to be shown: three lines around each change, overlapping ones as one.
  private static func hunks(_ lines: [Line]) -> [Range<Int>] {
    var hunks: [Range<Int>] = []
    for index in lines.indices where lines[index].sign != " " {
      let around = max(0, index - 3)..<min(lines.count, index + 4)
      if let last = hunks.last, last.upperBound >= around.lowerBound {
        hunks[hunks.count - 1] = last.lowerBound..<around.upperBound
      } else {
        hunks.append(around)
      }
    }
    return hunks
  }

  private static func paint(_ text: String, code: Int, inColor: Bool) -> String {
    inColor ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text
  }
}

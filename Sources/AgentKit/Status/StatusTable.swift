internal import Glibc
public import SmartStack

/// How a status is shown: to a person at a terminal, or to a program.
public struct StatusStyle: Sendable {
  /// What a word's colour says.
  public enum Tone: String, Sendable {
    case good = "32"
    case warning = "33"
    case bad = "31"
  }

  /// The longest line, in characters; nil: lines are as long as their text.
  public var width: Int?
  /// Lines that fit on the terminal; nil: there is no limit.
  public var height: Int?
  /// Whether tones are shown as colours.
  public var isColored = false
  /// Whether all there is to know is shown.
  public var isWide = false
  /// Whether services that are up have no row; they count in the summary.
  public var hidesUp = false

  /// A style for programs: whole lines, no colours.
  public init() {}

  /// The style of the standard output: lines of the terminal's width (80 if it does not tell), colours unless `NO_COLOR`
  /// is set or the terminal is a dumb one.
  public init(environment: [String: String]) {
    guard isatty(STDOUT_FILENO) == 1 else { return }
    var size = winsize()
    let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
    width = isKnown ? max(40, Int(size.ws_col)) : 80
    height = isKnown && size.ws_row > 0 ? Int(size.ws_row) : nil
    isColored = (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
  }

  /// The text in a tone.
  public func colored(_ text: String, in tone: Tone) -> String {
    isColored ? "\u{1b}[\(tone.rawValue)m\(text)\u{1b}[0m" : text
  }

  /// A sentence in lines that fit, those after the first indented; words that are too long are broken.
  public func wrapped(_ sentence: String) -> [String] {
    let text = sentence.oneLine(limit: 4000)
    guard let width, text.count > width else { return [text] }
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false).map(String.init) {
      if !line.isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = " "
      }
      line = line.isEmpty ? word : line + " " + word
      while line.count > width {
        lines.append(String(line.prefix(width)))
        line = "  " + line.dropFirst(width)
      }
    }
    return lines + [line]
  }
}

/// A table whose columns are as wide as their texts, or narrower so that each row fits on one line: texts are shortened in
/// the middle, those of the last column at their end. The second column is coloured.
public struct StatusTable {
  /// No column becomes narrower than this.
  private static let narrowest = 12
  private static let gap = 2

  private let titles: [String]
  private var rows: [(cells: [String], tone: StatusStyle.Tone)] = []

  /// An empty table with these titles of its columns.
  public init(_ titles: [String]) { self.titles = titles }

  /// Appends a row with one text for each column.
  public mutating func add(_ cells: [String], tone: StatusStyle.Tone) {
    rows.append((cells.map { $0.oneLine(limit: 2000) }, tone))
  }

  /// The titles and the rows; nothing if there are no rows.
  public func lines(in style: StatusStyle) -> [String] {
    if rows.isEmpty { return [] }
    let widths = self.widths(in: style)
    return [line(titles, widths: widths) { text, _ in text }]
      + rows.map { row in
        line(row.cells, widths: widths) { text, column in column == 1 ? style.colored(text, in: row.tone) : text }
      }
  }

  private func line(_ cells: [String], widths: [Int], color: (String, Int) -> String) -> String {
    var line = ""
    // Nothing behind the last text: no blanks at the end.
    guard let last = cells.lastIndex(where: { !$0.isEmpty }) else { return line }
    for (column, cell) in cells[...last].enumerated() {
      let text = column == titles.count - 1 ? cell.cut(to: widths[column]) : cell.shortened(to: widths[column])
      line += color(text, column)
      if column < last { line += String(repeating: " ", count: widths[column] - text.count + StatusTable.gap) }
    }
    return line
  }

  private func widths(in style: StatusStyle) -> [Int] {
    var widths = titles.indices.map { column in
      max(titles[column].count, rows.lazy.map { $0.cells[column].count }.max() ?? 0)
    }
    guard let limit = style.width else { return widths }
    var excess = widths.reduce(0, +) + StatusTable.gap * (widths.count - 1) - limit
    while excess > 0, let widest = widths.max(), widest > StatusTable.narrowest {
      // As far as the next wide column, which then shares the rest.
      let columns = widths.indices.filter { widths[$0] == widest }
      let next = max(widths.filter { $0 < widest }.max() ?? 0, StatusTable.narrowest)
      let step = max(1, min(widest - next, excess / columns.count))
      for column in columns where excess > 0 {
        widths[column] -= step
        excess -= step
      }
    }
    return widths
  }
}

extension String {
  /// The text with `…` in place of its middle, if it is longer than `width`; its end, which differs most often, keeps
  /// the larger half.
  fileprivate func shortened(to width: Int) -> String {
    guard count > width else { return self }
    let head = (width - 1) / 2
    return prefix(head) + "…" + suffix(width - 1 - head)
  }

  fileprivate func cut(to width: Int) -> String { count > width ? prefix(width - 1) + "…" : self }
}

extension StatusStyle {
  /// The lines above a table: the summary, and what is wrong, in lines that fit.
  public func head(of report: JSONValue) -> [String] {
    ([StatusSentences.summary(of: report)] + StatusSentences.problems(of: report)).flatMap(wrapped)
  }
}

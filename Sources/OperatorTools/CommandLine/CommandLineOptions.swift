internal import Hacheck

/// Command lines as Python's `optparse` reads them: options and arguments in any order, `-rX`, `-r X`,
/// `--reason=X`, `--reason X`, unambiguous beginnings of long names, `--` ends the options.
package struct CommandLineOptions {
  /// What an option takes.
  package enum Kind: Equatable {
    case flag
    case text
    case integer
    case number
    case choice([String])
  }

  /// One option; its long name, without the dashes, is how it is asked for.
  package struct Option: Equatable {
    let short: Character?
    let long: String
    let kind: Kind
    let help: String

    package init(_ short: Character?, _ long: String, _ kind: Kind, _ help: String) {
      self.short = short
      self.long = long
      self.kind = kind
      self.help = help
    }
  }

  /// Why a command line is not understood.
  package enum Problem: Error, Equatable {
    /// The sentence after `PROGRAM: error: `.
    case wrong(String)
    case helpWanted
    case versionWanted
  }

  private var values: [String: [String]] = [:]
  /// What is no option, in order.
  package private(set) var arguments: [String] = []

  package init(_ words: [String], _ options: [Option]) throws(Problem) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        arguments += rest
        return
      }
      if word.hasPrefix("--") {
        try readLong(word, &rest, options)
      } else if word.hasPrefix("-"), word.count > 1 {
        try readShort(word.dropFirst(), &rest, options)
      } else {
        arguments.append(word)
      }
    }
  }

  /// The last value given.
  package subscript(_ long: String) -> String? { values[long]?.last }

  /// All values given, in order.
  func all(_ long: String) -> [String] { values[long] ?? [] }

  /// The last value given, as an integer.
  package func integer(_ long: String) -> Int? { self[long].flatMap { Int($0) } }

  private mutating func readLong(
    _ word: String, _ rest: inout ArraySlice<String>, _ options: [Option]
  ) throws(Problem) {
    let (name, value) = word.dropFirst(2).cut(at: "=")
    if name == "help" { throw .helpWanted }
    if name == "version" { throw .versionWanted }
    let fitting = options.filter { $0.long == name }
    let candidates = fitting.isEmpty ? options.filter { $0.long.hasPrefix(name) } : fitting
    guard let option = candidates.first else { throw .wrong("no such option: --\(name)") }
    guard candidates.count == 1 else {
      let names = candidates.map { "--\($0.long)" }.sorted().joined(separator: ", ")
      throw .wrong("ambiguous option: --\(name) (\(names)?)")
    }
    if option.kind == .flag, value != nil { throw .wrong("--\(option.long) option does not take a value") }
    try take(option, value.map(String.init), &rest, shown: "--\(option.long)")
  }

  private mutating func readShort(
    _ letters: Substring, _ rest: inout ArraySlice<String>, _ options: [Option]
  ) throws(Problem) {
    var letters = letters
    while let letter = letters.popFirst() {
      if letter == "h" { throw .helpWanted }
      guard let option = options.first(where: { $0.short == letter }) else {
        throw .wrong("no such option: -\(letter)")
      }
      let attached = option.kind == .flag || letters.isEmpty ? nil : String(letters)
      try take(option, attached, &rest, shown: "-\(letter)")
      if attached != nil { return }
    }
  }

  private mutating func take(
    _ option: Option, _ attached: String?, _ rest: inout ArraySlice<String>, shown: String
  ) throws(Problem) {
    if option.kind == .flag {
      values[option.long, default: []].append("")
      return
    }
    guard let value = attached ?? rest.popFirst() else { throw .wrong("\(shown) option requires 1 argument") }
    switch option.kind {
    case .integer where Int(value) == nil: throw .wrong("option \(shown): invalid integer value: '\(value)'")
    case .number where Double(decimal: value) == nil:
      throw .wrong("option \(shown): invalid floating-point value: '\(value)'")
    case .choice(let words) where !words.contains(value):
      let list = words.map { "'\($0)'" }.joined(separator: ", ")
      throw .wrong("option \(shown): invalid choice: '\(value)' (choose from \(list))")
    default: values[option.long, default: []].append(value)
    }
  }

  /// What `-h` prints.
  package static func help(usage: String, _ options: [Option]) -> String {
    let all =
      [
        Option("h", "help", .flag, "show this help message and exit"),
        Option(nil, "version", .flag, "show program's version number and exit"),
      ] + options
    let lines = all.map { option in
      let value = option.kind == .flag ? "" : "=" + option.long.uppercased().replacing("-", with: "_")
      let names = (option.short.map { "-\($0), " } ?? "") + "--\(option.long)\(value)"
      return "  \(names)\n                        \(option.help)"
    }
    return "Usage: \(usage)\n\nOptions:\n\(lines.joined(separator: "\n"))\n"
  }
}

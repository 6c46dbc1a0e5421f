internal import Hacheck
internal import Reactor
internal import SmartStack

/// Syntax of a command whose command line upstream reads with Python's optparse or argparse.
struct CommandSyntax: Sendable {
  let name: String
  let abstract: String
  /// The operands, for example `<service> ...`; empty: there are none.
  var operands = ""
  let options: [CommandLineOptions.Option]

  func parse(_ words: [String]) throws(CommandUsage) -> CommandLineOptions {
    if words.first == "--experimental-dump-help" { throw .wrong("no such option: \(words[0])") }
    return try CommandLineOptions(words, of: self)
  }

  /// The text that `--help` prints.
  var help: String {
    let usage = (["USAGE: \(name) [<options>]"] + (operands.isEmpty ? [] : [operands])).joined(separator: " ")
    let lines =
      options.map { CommandSyntax.line($0.label, text: $0.help) } + [
        CommandSyntax.line("--version", text: "Show the version."),
        CommandSyntax.line("-h, --help", text: "Show help information."),
      ]
    return "OVERVIEW: \(abstract)\n\n\(usage)\n\nOPTIONS:\n\(lines.joined(separator: "\n"))\n"
  }

  /// One line of a list of options or commands.
  static func line(_ label: String, text: String) -> String {
    let (start, column) = ("  " + label, 26)
    let gap = start.count < column ? column - start.count : column
    return start + (start.count < column ? "" : "\n") + String(repeating: " ", count: gap) + text
  }
}

extension CommandLineOptions.Option {
  /// The names and the value, for example `-r, --reason <reason>`.
  fileprivate var label: String {
    (short.map { "-\($0), " } ?? "") + "--\(long)" + (value == .flag ? "" : " <\(long)>")
  }
}

/// Command lines as Python's `optparse` reads them: options and arguments in any order, `-rX`, `-r X`,
/// `--reason=X`, `--reason X`, unambiguous beginnings of long names, `--` ends the options.
struct CommandLineOptions {
  /// Kinds of values of an option.
  enum Kind: Equatable, Sendable {
    case flag
    case text
    case integer
    case number
    case choice([String])
  }

  /// One option; its long name, without the dashes, is its key.
  struct Option: Sendable {
    let long: String
    var short: Character?
    var value = Kind.flag
    let help: String
  }

  private var values: [String: [String]] = [:]
  private var spellings: [String: String] = [:]
  /// The operands, in order.
  private(set) var arguments: [String] = []

  /// Reads a command line.
  /// - Throws: ``CommandUsage``.
  init(_ words: [String], of syntax: CommandSyntax) throws(CommandUsage) {
    var rest = words[...]
    while let word = rest.popFirst() {
      if word == "--" {
        arguments += rest
        return
      }
      if word.hasPrefix("--") {
        try readLong(word, rest: &rest, of: syntax)
      } else if word.hasPrefix("-"), word.count > 1 {
        try readShort(word.dropFirst(), rest: &rest, of: syntax)
      } else {
        arguments.append(word)
      }
    }
  }

  subscript(_ long: String) -> String? { values[long]?.last }

  /// The option as it was written last: `-e`, `--expiration`.
  func shown(_ long: String) -> String { spellings[long] ?? "--\(long)" }

  /// All values given, in order.
  func all(_ long: String) -> [String] { values[long] ?? [] }

  /// The last value given, as an integer.
  func integer(_ long: String) -> Int? { self[long].flatMap { Int($0) } }

  private mutating func readLong(
    _ word: String, rest: inout ArraySlice<String>, of syntax: CommandSyntax
  ) throws(CommandUsage) {
    let parts = word.dropFirst(2).split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let (name, value) = (String(parts[0]), parts.count == 2 ? String(parts[1]) : nil)
    if name == "help" { throw .text(syntax.help) }
    if name == "version" { throw .text("\(syntax.name) \(Release.version)\n") }
    let fitting = syntax.options.filter { $0.long == name }
    let candidates = fitting.isEmpty ? syntax.options.filter { $0.long.hasPrefix(name) } : fitting
    guard let option = candidates.first else { throw .wrong("no such option: --\(name)") }
    guard candidates.count == 1 else {
      let names = candidates.map { "--\($0.long)" }.sorted().joined(separator: ", ")
      throw .wrong("ambiguous option: --\(name) (\(names)?)")
    }
    if option.value == .flag, value != nil { throw .wrong("--\(option.long) option does not take a value") }
    try record(option, attached: value, rest: &rest, shown: "--\(option.long)")
  }

  private mutating func readShort(
    _ letters: Substring, rest: inout ArraySlice<String>, of syntax: CommandSyntax
  ) throws(CommandUsage) {
    var letters = letters
    while let letter = letters.popFirst() {
      if letter == "h" { throw .text(syntax.help) }
      guard let option = syntax.options.first(where: { $0.short == letter }) else {
        throw .wrong("no such option: -\(letter)")
      }
      let attached = option.value == .flag || letters.isEmpty ? nil : String(letters)
      try record(option, attached: attached, rest: &rest, shown: "-\(letter)")
      if attached != nil { return }
    }
  }

  private mutating func record(
    _ option: Option, attached: String?, rest: inout ArraySlice<String>, shown: String
  ) throws(CommandUsage) {
    if option.value == .flag {
      values[option.long, default: []].append("")
      return
    }
    spellings[option.long] = shown
    guard let value = attached ?? rest.popFirst() else { throw .wrong("\(shown) option requires 1 argument") }
    switch option.value {
    case .integer where Int(value) == nil: throw .wrong("option \(shown): invalid integer value: '\(value)'")
    case .number where Double(decimal: value) == nil:
      throw .wrong("option \(shown): invalid floating-point value: '\(value)'")
    case .choice(let words) where !words.contains(value):
      let list = words.map { "'\($0)'" }.joined(separator: ", ")
      throw .wrong("option \(shown): invalid choice: '\(value)' (choose from \(list))")
    case .flag, .text, .integer, .number, .choice: values[option.long, default: []].append(value)
    }
  }
}

/// Receives a command's words: text, and the descriptor (standard output or error).
typealias CommandOutput = @LoopActor (_ text: String, _ descriptor: Int32) -> Void

/// Reason why a command line is not carried out.
public enum CommandUsage: Error, Equatable {
  /// Help or the version was requested: the text for the standard output.
  case text(String)
  /// The command line is wrong: what is wrong with it.
  case wrong(String)

  /// The text for the standard error of the command `name`.
  static func complaint(_ problem: String, of name: String) -> String {
    "\(name): \(problem)\nRun '\(name) --help' for usage.\n"
  }
}

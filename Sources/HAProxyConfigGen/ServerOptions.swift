internal import SmartStack

/// The options of one `server` line as keywords with their arguments.
struct ServerOption: Hashable, Sendable {
  var keyword: String
  /// Empty, one word, or for `source` up to five.
  var arguments: [String]

  /// Reads words of trusted origin; nil names the first word that is no keyword we know.
  static func read(_ words: [String]) throws(UnknownServerOption) -> [ServerOption] {
    var options: [ServerOption] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      guard let keyword = ServerKeyword.named(word) else {
        throw UnknownServerOption(word: word, reason: "is no option of a server that we know")
      }
      if case .none = keyword.argument {
        options.append(ServerOption(keyword: word, arguments: []))
        continue
      }
      guard let argument = rest.popFirst() else { throw UnknownServerOption(word: word, reason: "lacks its value") }
      var arguments = [argument]
      while word == "source", rest.count >= 2, rest.first == "usesrc" || rest.first == "interface" {
        arguments += rest.prefix(2)
        rest = rest.dropFirst(2)
      }
      options.append(ServerOption(keyword: word, arguments: arguments))
    }
    return options
  }

  var words: [String] { [keyword] + arguments }

  /// One set of options from what `default-server` lines and the server's own line say: later ones
  /// replace earlier ones, and `no-check` takes back `check`.
  static func merge(_ options: [ServerOption]) -> [ServerOption] {
    var last: [String: Int] = [:]
    for (index, option) in options.enumerated() {
      last[option.keyword] = index
      last[ServerKeyword.opposite(of: option.keyword)] = nil
    }
    return last.values.sorted().map { options[$0] }
  }
}

/// Why a word on a `server` line was not taken.
struct UnknownServerOption: Error, Hashable {
  var word: String
  var reason: String
}

/// The `haproxy_server_options` of a registration after every word was checked.
struct RegistrationOptions: Hashable, Sendable {
  /// The checked words without `id` and `disabled`; templates still stand for themselves.
  var template: ServerTemplate
  /// The id of an option `id N`.
  var id: Int?
  /// Whether the options contain `disabled`.
  var isDisabled: Bool

  /// The most words and bytes one registration may add to its line; HAProxy's own limit is 64 words a line.
  static let maximumWords = 40
  static let maximumBytes = 1024

  /// Checks text from the registry: server keywords that HAProxy 2.6 has, each with an argument of its form,
  /// and nothing that means something to the configuration's parser or to the socket's.
  init(untrusted text: String) throws(UnknownServerOption) {
    guard text.utf8.count <= RegistrationOptions.maximumBytes else {
      throw UnknownServerOption(word: String(text.prefix(20)), reason: "and what follows is too long")
    }
    guard text.utf8.allSatisfy({ RegistrationOptions.isHarmless($0) }) else {
      throw UnknownServerOption(word: text.quoted, reason: "has a character that no option needs")
    }
    let template = try ServerTemplate(text)
    let words = template.expanded(host: "10.0.0.1", port: 1, name: "name").words
    guard words.count <= RegistrationOptions.maximumWords else {
      throw UnknownServerOption(word: words[0], reason: "and what follows are too many words")
    }
    let options = try ServerOption.read(words)
    for option in options { try RegistrationOptions.check(option) }
    id = try RegistrationOptions.id(in: text.words)
    let switches = options.last { $0.keyword == "disabled" || $0.keyword == "enabled" }
    isDisabled = switches?.keyword == "disabled"
    self.template = try ServerTemplate(RegistrationOptions.plain(text))
  }

  /// Printable ASCII without what quotes, escapes, comments, separates commands or expands variables.
  private static func isHarmless(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20...0x7E: !"\"'\\#;$<>`".utf8.contains(byte)
    default: false
    }
  }

  private static func check(_ option: ServerOption) throws(UnknownServerOption) {
    guard option.keyword != "usesrc", option.keyword != "interface" else {
      throw UnknownServerOption(word: option.keyword, reason: "belongs after `source`")
    }
    guard let keyword = ServerKeyword.named(option.keyword), let argument = option.arguments.first else { return }
    guard keyword.accepts(argument) else {
      throw UnknownServerOption(word: "\(option.keyword) \(argument)", reason: "is no value for this option")
    }
  }

  /// The number itself: a template there would give every server its own surprise.
  private static func id(in words: [String]) throws(UnknownServerOption) -> Int? {
    guard let at = words.lastIndex(of: "id"), at + 1 < words.count else { return nil }
    guard let id = Int(words[at + 1]) else {
      throw UnknownServerOption(word: "id \(words[at + 1])", reason: "is no value for this option")
    }
    return id
  }

  /// The words without `id N` and `disabled`, which are written where they belong.
  private static func plain(_ text: String) -> String {
    var kept: [String] = []
    var words = text.words[...]
    while let word = words.popFirst() {
      if word == "id" {
        words = words.dropFirst()
      } else if word != "disabled" {
        kept.append(word)
        if case .none? = ServerKeyword.named(word)?.argument { continue }
        if let argument = words.popFirst() { kept.append(argument) }
      }
    }
    return kept.joined(separator: " ")
  }
}

/// Options with `%{host}`, `%{port}` and `%{name}` (also as `%<host>s`), and `%%` for a per cent sign.
///
/// A `%` before anything else stands for itself. Text after a `#` is a comment, kept at the line's end.
struct ServerTemplate: Hashable, Sendable {
  private enum Piece: Hashable, Sendable {
    case text(String)
    case host, port, name
  }

  private let pieces: [Piece]

  init(_ text: String) throws(UnknownServerOption) {
    var pieces: [Piece] = []
    var plain = ""
    var rest = text[...]
    while let character = rest.popFirst() {
      guard character == "%" else {
        plain.append(character)
        continue
      }
      if rest.first == "%" {
        plain.append("%")
        rest = rest.dropFirst()
      } else if let (name, after) = ServerTemplate.reference(rest) {
        pieces.append(.text(plain))
        plain = ""
        pieces.append(try ServerTemplate.piece(name))
        rest = after
      } else {
        plain.append("%")
      }
    }
    pieces.append(.text(plain))
    self.pieces = pieces.filter { $0 != .text("") }
  }

  private static func reference(_ text: Substring) -> (name: Substring, rest: Substring)? {
    let closing: Character
    switch text.first {
    case "{": closing = "}"
    case "<": closing = ">"
    default: return nil
    }
    guard let end = text.firstIndex(of: closing) else { return nil }
    var rest = text[text.index(after: end)...]
    if closing == ">" {
      guard rest.first == "s" || rest.first == "d" else { return nil }
      rest = rest.dropFirst()
    }
    return (text[text.index(after: text.startIndex)..<end], rest)
  }

  private static func piece(_ name: Substring) throws(UnknownServerOption) -> Piece {
    switch name {
    case "host": .host
    case "port": .port
    case "name": .name
    default: throw UnknownServerOption(word: "%{\(name)}", reason: "is none of %{host}, %{port} and %{name}")
    }
  }

  func expanded(host: String, port: Int, name: String) -> String {
    if pieces.count <= 1 {
      guard let piece = pieces.first else { return "" }
      if case .text(let text) = piece { return text }
    }
    var text = ""
    for piece in pieces {
      switch piece {
      case .text(let plain): text += plain
      case .host: text += host
      case .port: text += String(port)
      case .name: text += name
      }
    }
    return text
  }
}

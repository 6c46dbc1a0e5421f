/// The options of one `server` line as keywords with their arguments.
struct ServerOption: Hashable, Sendable {
  var keyword: String
  /// Empty, one word, or for `source` up to five.
  var arguments: [String]

  /// Reads words of trusted origin; nil names the first word that is no keyword we know.
  static func read(_ words: [String]) throws(ServerProblem) -> [ServerOption] {
    var options: [ServerOption] = []
    var rest = words[...]
    while let word = rest.popFirst() {
      guard let keyword = ServerKeyword.named(word) else {
        throw ServerProblem(subject: word, reason: "is not an option of a server that we know")
      }
      if case .none = keyword.argument {
        options.append(ServerOption(keyword: word, arguments: []))
        continue
      }
      guard let argument = rest.popFirst() else { throw ServerProblem(subject: word, reason: "lacks its value") }
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

/// Why a server cannot be written, or cannot be changed while HAProxy runs.
struct ServerProblem: Error, Hashable, CustomStringConvertible {
  /// The word, the option or the part that the problem is about.
  var subject: String
  var reason: String

  var description: String { "\(subject) \(reason)" }
}

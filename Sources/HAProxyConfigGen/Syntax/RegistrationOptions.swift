internal import SmartStack

/// The `haproxy_server_options` of a registration after every word was checked.
struct RegistrationOptions: Hashable, Sendable {
  /// The checked words without `id` and `disabled`; templates still stand for themselves.
  var template: ServerTemplate
  /// The number of `id N`.
  var id: Int?
  /// Whether `disabled` is among the words.
  var isDisabled: Bool

  /// The most words and bytes one registration may add to its line; HAProxy's own limit is 64 words a line.
  static let maximumWords = 40
  static let maximumBytes = 1024

  /// Checks text from the registry: server keywords that HAProxy 2.6 has, each with an argument of its form,
  /// and nothing that means something to the configuration's parser or to the socket's.
  init(untrusted text: String) throws(ServerProblem) {
    guard text.utf8.count <= RegistrationOptions.maximumBytes else {
      throw ServerProblem(subject: String(text.prefix(20)), reason: "and what follows is too long")
    }
    guard text.utf8.allSatisfy({ RegistrationOptions.isHarmless($0) }) else {
      throw ServerProblem(subject: text.quoted, reason: "has a character that no option needs")
    }
    let template = try ServerTemplate(text)
    let words = template.expanded(host: "10.0.0.1", port: 1, name: "name").words
    guard words.count <= RegistrationOptions.maximumWords else {
      throw ServerProblem(subject: words[0], reason: "and what follows are too many words")
    }
    let options = try ServerOption.read(words)
    for option in options { try RegistrationOptions.check(option) }
    id = try RegistrationOptions.id(in: text.words)
    let switches = options.last { $0.keyword == "disabled" || $0.keyword == "enabled" }
    isDisabled = switches?.keyword == "disabled"
    // These are written where they belong.
    let others = try ServerOption.read(text.words).filter { $0.keyword != "id" && $0.keyword != "disabled" }
    self.template = try ServerTemplate(others.flatMap(\.words).joined(separator: " "))
  }

  /// Printable ASCII without what quotes, escapes, comments, separates commands or expands variables.
  private static func isHarmless(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20...0x7E: !"\"'\\#;$<>`".utf8.contains(byte)
    default: false
    }
  }

  private static func check(_ option: ServerOption) throws(ServerProblem) {
    guard option.keyword != "usesrc", option.keyword != "interface" else {
      throw ServerProblem(subject: option.keyword, reason: "belongs after `source`")
    }
    guard let keyword = ServerKeyword.named(option.keyword) else { return }
    guard keyword.isOld else {
      throw ServerProblem(subject: option.keyword, reason: "is an option that not every release has")
    }
    guard let argument = option.arguments.first else { return }
    guard keyword.accepts(argument) else {
      throw ServerProblem(subject: "\(option.keyword) \(argument)", reason: "is not a value for this option")
    }
  }

  /// The number itself: a template there would give every server its own surprise.
  private static func id(in words: [String]) throws(ServerProblem) -> Int? {
    guard let at = words.lastIndex(of: "id"), at + 1 < words.count else { return nil }
    guard let id = Int(words[at + 1]) else {
      throw ServerProblem(subject: "id \(words[at + 1])", reason: "is not a value for this option")
    }
    return id
  }
}

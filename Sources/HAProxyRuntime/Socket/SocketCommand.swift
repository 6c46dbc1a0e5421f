public import HAProxyConfigGen
internal import SmartStack

/// One command of HAProxy's stats socket, safe to send: a change from a plan, or a question.
public struct SocketCommand: Hashable, Sendable {
  /// The command's line, without its end.
  public let text: String
  /// The change that the command makes; nil: it is a question, and is answered by a document.
  private let change: RuntimeCommand?

  private init(question text: String) {
    self.text = text
    change = nil
  }

  /// A planned change.
  /// - Throws: when one of its words would not arrive as what it is: blanks and control characters, `;` (separates
  ///   commands), `\` (escapes), a slash within a name, and `<<` (starts a payload).
  public init(_ change: RuntimeCommand) throws(HAProxyRuntimeError) {
    for name in change.path.map({ [$0.backend, $0.server] }) ?? [] {
      if name.isEmpty { throw .unsafeArgument("", reason: "is empty") }
      if name.utf8.contains(UInt8(ascii: "/")) {
        throw .unsafeArgument(
          name.oneLine(), reason: "holds a slash, which separates backend and server")
      }
    }
    for word in change.words { try SocketCommand.check(word) }
    text = change.text
    self.change = change
  }

  // MARK: Questions

  /// `show info`; read with ``ProxyInfo``.
  static let showInfo = Self(question: "show info")

  /// Frontends and backends of `show stat`, without their servers; the first document of ``RunningProxy``.
  static let showSections = Self(question: "show stat -1 3 -1")

  /// The servers of `show stat`, read with ``StatsPage``.
  static let showServerStatistics = Self(question: "show stat -1 4 -1")

  static let showFrontends = Self(question: "show stat -1 1 -1")

  /// `show servers state`; the second document of ``RunningProxy``.
  static let showServers = Self(question: "show servers state")

  /// `show servers state B`: the servers of one backend.
  static func showServers(of backend: String) throws(HAProxyRuntimeError) -> Self {
    try check(backend)
    return Self(question: "show servers state \(backend)")
  }

  // MARK: Arguments

  private static func check(_ word: String) throws(HAProxyRuntimeError) {
    if word.isEmpty { throw .unsafeArgument("", reason: "is empty") }
    for byte in word.utf8 {
      switch byte {
      case 0...32, 127: throw .unsafeArgument(word.oneLine(), reason: "holds a blank or a control character")
      case UInt8(ascii: ";"): throw .unsafeArgument(word.oneLine(), reason: "holds ';', which separates commands")
      case UInt8(ascii: "\\"): throw .unsafeArgument(word.oneLine(), reason: "holds a backslash")
      default: break
      }
    }
    if word.hasPrefix("<<") { throw .unsafeArgument(word, reason: "starts with '<<', which begins a payload") }
  }
}

extension SocketCommand {
  /// Judges whether a reply means success: a document, or one line. A complaint is on one line, too.
  func outcome(of reply: String) -> Result<String, HAProxyRuntimeError> {
    guard let change else {
      // None of the documents that are asked for begins like that; they may be megabytes.
      let isRefused = ["Unknown command", "Permission denied", "Can't find"].contains { reply.hasPrefix($0) }
      return isRefused ? .failure(.refused(command: text, reply: SocketCommand.oneLine(reply))) : .success(reply)
    }
    // Nearly all of thousands of replies.
    if reply.utf8.allSatisfy({ $0 == 0x0A || $0 == 0x20 }) { return .success("") }
    let line = SocketCommand.oneLine(reply)
    return change.accepts(reply: line) ? .success(line) : .failure(.refused(command: text, reply: line))
  }

  private static func oneLine(_ reply: String) -> String {
    let lines = reply.lines.map { $0.drop(while: { $0 == " " }) }.filter { !$0.isEmpty }
    return lines.joined(separator: " | ").oneLine(limit: 400)
  }
}

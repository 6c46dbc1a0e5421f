/// One command of HAProxy's stats socket, safe to send, with the answer that means success.
///
/// Made by one method per verb; each refuses arguments that would not arrive as what they are: blanks and
/// control characters, `;` (separates commands), `\` (escapes) and `<<` (starts a payload).
public struct SocketCommand: Hashable, Sendable, CustomStringConvertible {
  /// The states that `set server … state` takes.
  public enum ServerState: String, Hashable, Sendable {
    /// Takes traffic as its checks allow.
    case ready
    /// Keeps its sessions and gets no new ones.
    case drain
    /// Gets nothing and is not checked.
    case maint
  }

  /// What a good answer looks like.
  enum Success: Hashable, Sendable {
    /// Nothing but blanks.
    case silence
    /// A sentence with one of these pieces in it.
    case phrases([String])
    /// A document; whether it is one, its parser says.
    case document
    /// Whatever it is, the caller judges.
    case anything
  }

  /// As it goes over the socket, without a line end.
  public let text: String
  let success: Success

  /// The same text.
  public var description: String { text }

  private init(_ text: String, _ success: Success = .silence) {
    self.text = text
    self.success = success
  }

  // MARK: Servers

  /// `set server B/S state …`.
  public static func setState(_ state: ServerState, backend: String, server: String) throws(HAProxyRuntimeError) -> Self
  {
    Self("set server \(try path(backend, server)) state \(state.rawValue)")
  }

  /// `set server B/S weight N`; 0…256.
  public static func setWeight(_ weight: Int, backend: String, server: String) throws(HAProxyRuntimeError) -> Self {
    Self("set server \(try path(backend, server)) weight \(weight)")
  }

  /// `set server B/S addr A port P`.
  /// - Parameter address: a numeric address; HAProxy resolves no names here.
  public static func setAddress(
    _ address: String, port: Int, backend: String, server: String
  ) throws(HAProxyRuntimeError) -> Self {
    Self(
      "set server \(try path(backend, server)) addr \(try word(address)) port \(port)",
      .phrases(["changed from", "no need to change"]))
  }

  /// `add server B/S A:P …`. The server starts in maintenance, unchecked.
  /// - Parameter options: keywords of a `server` line, as the configuration file would have them.
  public static func addServer(
    backend: String, server: String, address: String, port: Int, options: String
  ) throws(HAProxyRuntimeError) -> Self {
    var text = "add server \(try path(backend, server)) \(try word(address)):\(port)"
    for option in options.split(whereSeparator: { $0 == " " || $0 == "\t" }) { text += " \(try word(String(option)))" }
    return Self(text, .phrases(["New server registered."]))
  }

  /// `del server B/S`: only a server in maintenance without sessions can go.
  public static func deleteServer(backend: String, server: String) throws(HAProxyRuntimeError) -> Self {
    Self("del server \(try path(backend, server))", .phrases(["Server deleted."]))
  }

  /// `enable health B/S`: starts the checks that `add server … check` only configures.
  public static func enableHealth(backend: String, server: String) throws(HAProxyRuntimeError) -> Self {
    Self("enable health \(try path(backend, server))")
  }

  /// `disable health B/S`.
  public static func disableHealth(backend: String, server: String) throws(HAProxyRuntimeError) -> Self {
    Self("disable health \(try path(backend, server))")
  }

  /// `shutdown sessions server B/S`: ends what is still connected.
  public static func shutdownSessions(backend: String, server: String) throws(HAProxyRuntimeError) -> Self {
    Self("shutdown sessions server \(try path(backend, server))")
  }

  /// A command that was put together elsewhere; its reply is ``CommandOutcome/done(_:)`` whatever it says.
  public static func verbatim(_ line: String) throws(HAProxyRuntimeError) -> Self {
    var text = ""
    for argument in line.split(separator: " ") {
      text += text.isEmpty ? try word(String(argument)) : " \(try word(String(argument)))"
    }
    if text.isEmpty { throw .unsafeArgument("", reason: "is empty") }
    return Self(text, .anything)
  }

  // MARK: Questions

  /// `show info`; read with ``ProxyInfo``.
  public static let showInfo = Self("show info", .document)

  /// Frontends and backends of `show stat`, without their servers; read with ``ProxySections``.
  public static let showSections = Self("show stat -1 3 -1", .document)

  /// All of `show stat`.
  public static let showStatistics = Self("show stat", .document)

  /// `show servers state`; read with ``ServerStates``.
  public static let showServers = Self("show servers state", .document)

  /// `show servers state B`: the servers of one backend.
  public static func showServers(of backend: String) throws(HAProxyRuntimeError) -> Self {
    Self("show servers state \(try word(backend))", .document)
  }

  // MARK: Arguments

  private static func path(_ backend: String, _ server: String) throws(HAProxyRuntimeError) -> String {
    for name in [backend, server] where name.utf8.contains(UInt8(ascii: "/")) {
      throw .unsafeArgument(printable(name), reason: "holds a slash, which separates backend and server")
    }
    return "\(try word(backend))/\(try word(server))"
  }

  private static func word(_ text: String) throws(HAProxyRuntimeError) -> String {
    if text.isEmpty { throw .unsafeArgument("", reason: "is empty") }
    for byte in text.utf8 {
      switch byte {
      case 0...32, 127: throw .unsafeArgument(printable(text), reason: "holds a blank or a control character")
      case UInt8(ascii: ";"): throw .unsafeArgument(printable(text), reason: "holds ';', which separates commands")
      case UInt8(ascii: "\\"): throw .unsafeArgument(printable(text), reason: "holds a backslash")
      default: break
      }
    }
    if text.hasPrefix("<<") { throw .unsafeArgument(text, reason: "starts with '<<', which begins a payload") }
    return text
  }

  /// Control characters shown, so that an error stays one line.
  static func printable(_ text: String) -> String {
    var out = ""
    for scalar in text.unicodeScalars {
      if scalar.value < 32 || scalar.value == 127 {
        out += "\\u{\(String(scalar.value, radix: 16))}"
      } else {
        out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}

/// What HAProxy said to one command.
public enum CommandOutcome: Hashable, Sendable {
  /// It did it; the text is a document's, or empty.
  case done(String)
  /// It did not; the text is its complaint, on one line.
  case refused(String)
}

extension SocketCommand {
  /// Judges a reply.
  func outcome(of reply: String) -> CommandOutcome {
    if success == .document {
      // None of the documents that are asked for begins like that.
      let complaint = ["Unknown command", "Permission denied", "Can't find"].first { reply.hasPrefix($0) }
      return complaint == nil ? .done(reply) : .refused(SocketCommand.oneLine(reply))
    }
    let line = SocketCommand.oneLine(reply)
    switch success {
    case .anything: return .done(line)
    case .phrases(let phrases) where phrases.contains { line.contains($0) }: return .done(line)
    case .phrases: return .refused(line.isEmpty ? "(no answer text)" : line)
    case .silence, .document: return line.isEmpty ? .done("") : .refused(line)
    }
  }

  private static func oneLine(_ reply: String) -> String {
    let lines = reply.split(whereSeparator: \.isNewline).map { $0.drop(while: { $0 == " " }) }.filter { !$0.isEmpty }
    let text = lines.joined(separator: " | ")
    return text.utf8.count <= 400 ? text : String(text.prefix(400)) + "…"
  }
}

/// Options with `%{host}`, `%{port}` and `%{name}` (also as `%<host>s`), and `%%` for a per cent sign.
///
/// A `%` before anything else stands for itself. Text after a `#` is a comment, kept at the line's end.
struct ServerTemplate: Hashable, Sendable {
  private enum Piece: Hashable, Sendable {
    case text(String)
    case host, port, name
  }

  private let pieces: [Piece]

  init(_ text: String) throws(ServerProblem) {
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

  private static func piece(_ name: Substring) throws(ServerProblem) -> Piece {
    switch name {
    case "host": .host
    case "port": .port
    case "name": .name
    default: throw ServerProblem(subject: "%{\(name)}", reason: "is none of %{host}, %{port} and %{name}")
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

extension String {
  /// The text as it may stand in an element or in a quoted attribute. Control characters, which a browser would
  /// drop or act on, and those that turn the reading direction are shown as `�`.
  public var htmlEscaped: String {
    let isPlain = utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && !"&<>\"'".utf8.contains($0) }
    if isPlain { return self }
    return escaping { scalar in
      switch scalar {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      case "'": "&#39;"
      case "\n", "\t": nil
      default: scalar.breaksLine ? "\u{fffd}" : nil
      }
    }
  }
}

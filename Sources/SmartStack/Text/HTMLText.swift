extension String {
  /// The text as it may stand in an element or in a quoted attribute. Control characters, which a browser would
  /// drop or act on, and those that turn the reading direction are shown as `�`.
  public var htmlEscaped: String {
    let isPlain = utf8.allSatisfy { $0 >= 0x20 && $0 < 0x7f && !"&<>\"'".utf8.contains($0) }
    if isPlain { return self }
    var out = ""
    for scalar in unicodeScalars {
      switch scalar {
      case "&": out += "&amp;"
      case "<": out += "&lt;"
      case ">": out += "&gt;"
      case "\"": out += "&quot;"
      case "'": out += "&#39;"
      case "\n", "\t": out.unicodeScalars.append(scalar)
      case _ where scalar.breaksLine: out += "\u{fffd}"
      default: out.unicodeScalars.append(scalar)
      }
    }
    return out
  }
}

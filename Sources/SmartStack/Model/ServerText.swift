/// What may be written where HAProxy expects a server's name, address or options: in its file, where a line
/// break, a quote, a backslash or `#` changes what follows, and on its socket, where `;` starts a new command.
public enum ServerText {
  /// Whether `text` is an IPv4 or IPv6 address or a DNS name.
  public static func isHost(_ text: String) -> Bool { isAddress(text) || isDNSName(text) }

  /// The host that `text` means: without blanks at both ends, an IPv6 address without its brackets. Nil when it is
  /// neither an address nor a DNS name.
  public static func host(_ text: String) -> String? {
    if isHost(text) { return text }
    let host = text.trimmedBlanks
    if host.hasPrefix("["), host.hasSuffix("]") {
      let address = String(host.dropFirst().dropLast())
      return IPAddress(address)?.isIPv6 == true ? address : nil
    }
    return isHost(host) ? host : nil
  }

  /// Whether `text` is an IPv4 address in four decimal parts, or an IPv6 address without zone and brackets.
  public static func isAddress(_ text: String) -> Bool { IPAddress(text) != nil }

  /// Whether `text` is a DNS name: parts of letters, digits, `-` and `_`, at most 63 each and 253 together, the
  /// last not all digits (that would be a broken address). A final dot is allowed.
  public static func isDNSName(_ text: String) -> Bool {
    var name = Array(text.utf8)
    if name.last == UInt8(ascii: ".") { name.removeLast() }
    guard !name.isEmpty, name.count <= 253 else { return false }
    let parts = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    let areParts = parts.allSatisfy { part in
      (1...63).contains(part.count) && part.first != UInt8(ascii: "-") && part.last != UInt8(ascii: "-")
        && part.allSatisfy { $0.isLetterOrDigit || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_") }
    }
    return areParts && parts.last?.allSatisfy { $0.isDigit } == false
  }

  /// Whether HAProxy accepts `text` as (part of) a server's name: letters, digits and `_.:-`, at most 255.
  public static func isName(_ text: String) -> Bool {
    (1...255).contains(text.utf8.count) && text.utf8.allSatisfy { $0.isLetterOrDigit || "_.:-".utf8.contains($0) }
  }

  /// What keeps `text` from being options of a `server` line, as the end of a sentence; nil if nothing does.
  ///
  /// Options are one line of words without quoting; `%{host}`, `%{port}` and `%{name}` are the only templates.
  /// Whether the words are known ones is not judged here.
  public static func troubleWithOptions(_ text: String) -> String? {
    guard text.utf8.count <= 1024 else { return "more than 1024 characters are too many" }
    guard text.utf8.allSatisfy({ $0.isLetterOrDigit || " _-.:,/@%{}+=()*[]|^?!~&".utf8.contains($0) }) else {
      return "only one line of plain words is allowed: no quotes, backslashes, control characters, # or ;"
    }
    var rest = text.utf8[...]
    while let mark = rest.firstIndex(of: UInt8(ascii: "%")) {
      rest = rest[rest.index(after: mark)...]
      let known = ["%", "{host}", "{port}", "{name}"].first { rest.starts(with: $0.utf8) }
      guard let known else { return "%{host}, %{port} and %{name} are the only templates" }
      rest = rest.dropFirst(known.utf8.count)
    }
    return nil
  }
}

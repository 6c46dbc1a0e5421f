internal import SmartStack

/// One `server` line that is wanted, and what the planner needs to know of it.
struct WantedServer: Sendable {
  var name: String
  var host: String
  var port: Int
  var id: Int?
  /// False for servers that left and those whose options say `disabled`.
  var isEnabled: Bool
  /// The cookie's value, if the line has one.
  var cookie: String?
  /// The options in the order of the line, without id, cookie, `disabled` and comment.
  var options: String
  /// A comment of the service's `server_options`.
  var comment: String
  /// The weight that HAProxy is to have for it; nil when an agent check sets it.
  var weight: Int?
  /// The fingerprint of its options, once it stands in a section.
  var print: UInt64?

  /// The options without the weight; with the host where that is a name, which HAProxy looks up.
  var form: String { IPAddress(host) == nil ? "\(host) \(options.withoutWeight)" : options.withoutWeight }

  /// The line without indentation and without `disabled`.
  var enabledLine: String { line(disabled: false) }

  /// The line without indentation.
  var line: String { line(disabled: !isEnabled) }

  private func line(disabled: Bool) -> String {
    var text = "server "
    text.reserveCapacity(64 + 2 * name.utf8.count + options.utf8.count)
    text += name
    text += " "
    text += host
    text += ":"
    text += String(port)
    if let id {
      text += " id "
      text += String(id)
    }
    if let cookie {
      text += " cookie "
      text += cookie
    }
    if !options.isEmpty {
      text += " "
      text += options
    }
    if disabled { text += " disabled" }
    if !comment.isEmpty {
      text += " "
      text += comment
    }
    return text
  }
}

/// Makes `server` lines for one service.
struct ServerLineBuilder {
  private let template: ServerTemplate
  private let comment: ServerTemplate
  private let usesWeights: Bool
  /// Whether cookie values are hashes; nil: the backend has no use for cookies.
  private let hashesCookies: Bool?
  private let traits: BackendTraits

  /// - Parameters:
  ///   - hashesCookies: whether cookie values are hashes, where the backend has a use for them.
  ///   - traits: what the backend's lines and defaults say.
  /// - Throws: when the service's `server_options` cannot be written.
  init(
    options: String?, usesWeights: Bool, hashesCookies: Bool, traits: BackendTraits
  ) throws(ServerProblem) {
    let text = options ?? ""
    guard text.isOneLine else {
      throw ServerProblem(subject: text.quoted, reason: "has control characters")
    }
    let (plain, comment) = text.splitAtComment
    guard !plain.words.contains("id") else {
      throw ServerProblem(subject: "id", reason: "would give every server the same id")
    }
    template = try ServerTemplate(plain)
    self.comment = try ServerTemplate(comment)
    self.usesWeights = usesWeights
    self.hashesCookies = traits.wantsCookies ? hashesCookies : nil
    self.traits = traits
  }

  func server(_ name: String, entry: ServerMemory.Entry, registered: RegistrationOptions?) -> WantedServer {
    let backend = entry.backend
    var options = template.expanded(host: backend.host, port: backend.port, name: name)
    if let more = registered?.template.expanded(host: backend.host, port: backend.port, name: name), !more.isEmpty {
      options += options.isEmpty ? more : " " + more
    }
    if usesWeights, let weight = backend.weight {
      options = options.withoutWeight
      options += (options.isEmpty ? "" : " ") + "weight \(min(max(0, weight), 256))"
    }
    return WantedServer(
      name: name, host: backend.host, port: backend.port, id: entry.id,
      isEnabled: entry.isLive && registered?.isDisabled != true,
      cookie: hashesCookies.map { $0 ? MessageDigest.sha1.hash(name.utf8).hexadecimal : name }, options: options,
      comment: comment.expanded(host: backend.host, port: backend.port, name: name), weight: traits.weight(options))
  }
}

extension String {
  /// Before and from the first `#` that begins a comment: outside quotes, not escaped.
  var splitAtComment: (plain: String, comment: String) {
    guard utf8.contains(UInt8(ascii: "#")) else { return (self, "") }
    var quote: UInt8?
    var isEscaped = false
    for index in utf8.indices {
      let byte = utf8[index]
      if isEscaped {
        isEscaped = false
      } else if byte == UInt8(ascii: "\\"), quote != UInt8(ascii: "'") {
        isEscaped = true
      } else if let open = quote {
        if byte == open { quote = nil }
      } else if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") {
        quote = byte
      } else if byte == UInt8(ascii: "#") {
        return (self[..<index].trimmedBlanks, String(self[index...]))
      }
    }
    return (self, "")
  }

  /// Without any `weight N`.
  fileprivate var withoutWeight: String {
    guard has("weight") else { return self }
    var kept: [String] = []
    var words = self.words[...]
    while let word = words.popFirst() {
      if word == "weight", words.first.map({ Int($0) != nil }) == true {
        words = words.dropFirst()
      } else {
        kept.append(word)
      }
    }
    return kept.joined(separator: " ")
  }
}

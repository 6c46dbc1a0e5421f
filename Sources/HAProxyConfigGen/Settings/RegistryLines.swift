internal import SmartStack

/// What a section of the registry may say of a service: a closed list.
///
/// Whoever can write one znode must not get further than that service: nothing here listens, reads or writes a file, loads
/// code, names a server, opens a page, or touches another service.
enum RegistryLines {
  /// The form of a directive's arguments.
  private enum Form {
    case none
    case time
    case count
    /// A few words of letters, digits and `-_.:/,=?&*()`.
    case words(ClosedRange<Int>)
    /// Words of one of these lists.
    case oneOf([String])
    case serverOptions
    /// What a health check expects: `status 200-399` or `string up`.
    case expectation
  }

  /// Why a line is not taken over; nil: it is.
  static func problem(of line: String, in place: Directives.Place) -> String? {
    guard line.utf8.allSatisfy({ isHarmless($0) }) else {
      return "\(line.quoted) has a character that no such line needs"
    }
    var words = line.words[...]
    if words.first == "no", words.dropFirst().first == "option" { words = words.dropFirst() }
    for length in [2, 1] {
      guard let form = table[words.prefix(length).joined(separator: " ")], words.count >= length else { continue }
      guard accepts(Array(words.dropFirst(length)), as: form) else {
        return "\(line.quoted) has not the arguments that are accepted from the registry"
      }
      let known = Directives.place(of: line.words)
      return known == place || known == .both
        ? nil : "\(line.quoted) has no place in a \(place == .frontend ? "frontend" : "backend")"
    }
    return "\(line.quoted) is not among the directives that are accepted from the registry"
  }

  /// Why options for all servers are not taken over; nil: they are.
  static func problem(ofServerOptions text: String) -> String? {
    guard text.utf8.allSatisfy({ isHarmless($0) }) else { return "\(text.quoted) has a character that no option needs" }
    return accepts(text.words, as: .serverOptions)
      ? nil : "\(text.quoted) has an option that is not accepted from the registry"
  }

  private static func accepts(_ words: [String], as form: Form) -> Bool {
    switch form {
    case .none: return words.isEmpty
    case .time:
      return words.count == 1 && ServerKeyword.milliseconds(words[0]).map { 1...2_147_483_647 ~= $0 } == true
    case .count: return words.count == 1 && words[0].utf8.count <= 9 && Int(words[0]).map { $0 >= 0 } == true
    case .words(let count): return count.contains(words.count)
    case .oneOf(let lists): return lists.contains(words.joined(separator: " "))
    case .expectation: return words.count == 2 && (words[0] == "string" || words[0] == "status" && isStatus(words[1]))
    case .serverOptions:
      guard let options = try? ServerOption.read(words) else { return false }
      return options.allSatisfy { option in
        guard serverOptions.contains(option.keyword), let keyword = ServerKeyword.named(option.keyword) else {
          return false
        }
        return option.arguments.allSatisfy { keyword.accepts($0) }
      }
    }
  }

  /// Whether it is a list of statuses and ranges of them.
  private static func isStatus(_ text: String) -> Bool {
    text.split(separator: ",", omittingEmptySubsequences: false).allSatisfy { part in
      let numbers = part.split(separator: "-", omittingEmptySubsequences: false)
      return numbers.count <= 2 && numbers.allSatisfy { Int($0).map { 100...599 ~= $0 } == true }
    }
  }

  /// Without what quotes, escapes, comments, expands variables or evaluates expressions.
  private static func isHarmless(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x20...0x7E: !"\"'\\#;$<>`%{}[]|".utf8.contains(byte)
    default: false
    }
  }

  private static let serverOptions = Set(
    """
    backup check downinter error-limit fall fastinter inter maxconn maxqueue minconn no-backup no-check observe on-error
    on-marked-down on-marked-up pool-low-conn pool-max-conn pool-purge-delay port rise slowstart weight
    """.split(whereSeparator: \.isWhitespace).map(String.init))

  private static let table: [String: Form] = {
    var table: [String: Form] = [:]
    func add(_ phrases: String, as form: Form) { for phrase in phrases.phrases { table[phrase] = form } }
    add(
      """
      timeout check, timeout client, timeout client-fin, timeout connect, timeout http-keep-alive, timeout http-request
      timeout queue, timeout server, timeout server-fin, timeout tunnel
      """, as: .time)
    add("fullconn, max-keep-alive-queue, maxconn, retries", as: .count)
    add("retry-on", as: .words(1...10))
    add("balance", as: .words(1...3))
    add("hash-type", as: .words(1...3))
    add("hash-balance-factor", as: .count)
    add("http-reuse", as: .oneOf(["never", "safe", "aggressive", "always"]))
    add(
      """
      option abortonclose, option allbackups, option clitcpka, option forwardfor, option http-keep-alive
      option http-no-delay, option http-server-close, option httpclose, option persist, option prefer-last-server
      option redis-check, option srvtcpka, option tcp-check, option tcpka, option tcp-smart-accept
      option tcp-smart-connect
      """, as: .none)
    add("option redispatch", as: .oneOf(["", "1", "2", "3"]))
    add("option httpchk", as: .words(0...2))
    add("http-check disable-on-404, http-check send-state", as: .none)
    add("http-check expect", as: .expectation)
    add("default-server", as: .serverOptions)
    return table
  }()
}

extension ServiceSettings {
  /// Adds what a section of the registry says, as far as it may: lines stand behind the configured ones.
  /// - Parameter entries: the section's keys, each with its lines or its text.
  /// - Returns: the settings, and what was skipped.
  public func adding(registrySection entries: [(key: String, lines: [String])]) -> (ServiceSettings, [ConfigProblem]) {
    var settings = self
    var problems: [ConfigProblem] = []
    func skip(_ message: String) {
      problems.append(ConfigProblem(.skipped, at: .service(service, .registry, nil), message: message))
    }
    func accepted(_ lines: [String], in place: Directives.Place) -> [String] {
      lines.filter { line in
        guard let problem = RegistryLines.problem(of: line, in: place) else { return true }
        skip("\(problem); skipped")
        return false
      }
    }
    for (key, lines) in entries {
      switch key {
      case "frontend": settings.frontend += accepted(lines, in: .frontend)
      case "backend": settings.backend += accepted(lines, in: .backend)
      case "listen":
        // Each line is right in at least one of the two.
        let front = lines.filter { RegistryLines.problem(of: $0, in: .frontend) == nil }
        settings.listen += front + accepted(lines.filter { !front.contains($0) }, in: .backend)
      case "server_options":
        let text = lines.joined(separator: " ")
        if let problem = RegistryLines.problem(ofServerOptions: text) {
          skip("\(problem); skipped")
        } else {
          let (plain, comment) = (settings.serverOptions ?? "").splitAtComment
          settings.serverOptions = [plain, text, comment].filter { !$0.isEmpty }.joined(separator: " ")
        }
      case "backend_order" where ServerOrder(rawValue: lines.first ?? "") != nil:
        settings.backendOrder = ServerOrder(configured: lines.first)
      case "use_nerve_weights" where ["true", "false"].contains(lines.first):
        settings.usesNerveWeights = lines == ["true"]
      default: skip("the key \(key.quoted) is not accepted from the registry, or not with this value; skipped")
      }
    }
    return (settings, problems)
  }
}

internal import SmartStack

/// A keyword of the `server` line, as HAProxy 2.6 and later have it.
struct ServerKeyword: Sendable {
  /// The form of its one argument.
  enum Argument: Sendable {
    case none
    case integer(ClosedRange<Int>)
    /// A number with an optional unit; HAProxy's timers end at 2^31 - 1 ms.
    case time(minimum: Int)
    case oneOf([String])
    case address
    /// Anything in one word; what it means is HAProxy's to judge.
    case word
  }

  /// Whether `add server` takes it.
  enum AtRunTime: Sendable {
    case accepted
    /// From this release on.
    case acceptedSince(HAProxyVersion)
    case refused
    /// It only takes back what a `default-server` line said, and a server added at run time starts from nothing.
    case superfluous
  }

  var name: String
  var argument: Argument
  var atRunTime: AtRunTime
  /// Whether HAProxy 2.6 knows it.
  var isOld = true

  static func named(_ name: some StringProtocol) -> ServerKeyword? { table[String(name)] }

  /// What it takes back, or is taken back by: `no-check` and `check`.
  static func opposite(of name: String) -> String {
    switch name {
    case "enabled": "disabled"
    case "disabled": "enabled"
    case "stick": "non-stick"
    case "non-stick": "stick"
    default: name.hasPrefix("no-") ? String(name.dropFirst(3)) : "no-" + name
    }
  }

  /// Whether `word` is an argument of this keyword's form.
  func accepts(_ word: String) -> Bool {
    switch argument {
    case .none: false
    case .integer(let range): word.utf8.allSatisfy { $0.isDigit } && (Int(word).map { range.contains($0) } ?? false)
    case .time(let minimum): ServerKeyword.milliseconds(word).map { $0 >= minimum && $0 <= 2_147_483_647 } ?? false
    case .oneOf(let words): words.contains(word)
    case .address: IPAddress(word) != nil
    case .word: !word.isEmpty
    }
  }

  /// Whether `add server` of a release takes it.
  func isAccepted(by version: HAProxyVersion) -> Bool {
    switch atRunTime {
    case .accepted: true
    case .acceptedSince(let first): version >= first
    case .refused, .superfluous: false
    }
  }

  /// `200ms`, `2s`, a bare number of milliseconds; nil for anything else.
  static func milliseconds(_ text: String) -> Int? {
    let digits = text.utf8.prefix { $0.isDigit }
    guard let number = Int(String(digits) ?? ""), number < 1 << 40 else { return nil }
    return switch text.dropFirst(digits.count) {
    case "", "ms": number
    case "us": (number + 999) / 1000
    case "s": number * 1000
    case "m": number * 60_000
    case "h": number * 3_600_000
    case "d": number * 86_400_000
    default: nil
    }
  }

  private static let table: [String: ServerKeyword] = {
    var table: [String: ServerKeyword] = [:]
    func add(_ names: String, taking argument: Argument, atRunTime: AtRunTime, isOld: Bool = true) {
      for name in names.split(whereSeparator: \.isWhitespace).map(String.init) {
        table[name] = ServerKeyword(name: name, argument: argument, atRunTime: atRunTime, isOld: isOld)
      }
    }
    let count = Argument.integer(0...2_147_483_647)
    let atLeastOne = Argument.integer(1...2_147_483_647)
    let port = Argument.integer(1...65_535)
    let tls = Argument.oneOf(["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"])

    add(
      """
      agent-check allow-0rtt backup check check-send-proxy check-ssl check-via-socks4 disabled force-sslv3
      force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-ssl-reuse no-sslv3 no-tls-tickets no-tlsv10 no-tlsv11
      no-tlsv12 no-tlsv13 send-proxy send-proxy-v2 send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl tfo tls-tickets
      """, taking: .none, atRunTime: .accepted)
    add(
      """
      enabled no-agent-check no-backup no-check no-check-ssl no-check-send-proxy no-send-proxy no-send-proxy-v2
      no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn no-ssl no-tfo ssl-reuse stick
      """, taking: .none, atRunTime: .superfluous)
    add("non-stick", taking: .none, atRunTime: .refused)

    add("addr agent-addr", taking: .address, atRunTime: .accepted)
    add("agent-port port", taking: port, atRunTime: .accepted)
    add("agent-inter inter fastinter downinter", taking: .time(minimum: 1), atRunTime: .accepted)
    add("slowstart pool-purge-delay", taking: .time(minimum: 0), atRunTime: .accepted)
    add("tcp-ut", taking: .time(minimum: 0), atRunTime: .refused)
    add("error-limit fall rise id", taking: atLeastOne, atRunTime: .accepted)
    add("maxconn maxqueue minconn pool-low-conn pool-max-conn", taking: count, atRunTime: .accepted)
    add("max-reuse", taking: count, atRunTime: .refused)
    add("weight", taking: .integer(0...256), atRunTime: .accepted)
    add("observe", taking: .oneOf(["none", "layer4", "layer7"]), atRunTime: .accepted)
    add("on-error", taking: .oneOf(["fastinter", "fail-check", "sudden-death", "mark-down"]), atRunTime: .accepted)
    add("on-marked-down", taking: .oneOf(["shutdown-sessions"]), atRunTime: .accepted)
    add("on-marked-up", taking: .oneOf(["shutdown-backup-sessions"]), atRunTime: .accepted)
    add("ssl-min-ver ssl-max-ver", taking: tls, atRunTime: .accepted)
    add("verify", taking: .oneOf(["none", "required"]), atRunTime: .accepted)
    add("ws", taking: .oneOf(["auto", "h1", "h2"]), atRunTime: .accepted)
    add("resolve-prefer", taking: .oneOf(["ipv4", "ipv6"]), atRunTime: .refused)
    // It is about names, and a server that is added has an address.
    add("init-addr", taking: .word, atRunTime: .superfluous)
    add("log-proto", taking: .oneOf(["legacy", "octet-count"]), atRunTime: .refused)
    add(
      "agent-send alpn ca-file check-alpn check-proto check-sni ciphers ciphersuites crl-file crt npn", taking: .word,
      atRunTime: .accepted)
    add("proto proxy-v2-options sni source usesrc interface track verifyhost", taking: .word, atRunTime: .accepted)
    add("cookie", taking: .word, atRunTime: .acceptedSince(HAProxyVersion(3, 0)))
    add(
      "client-sigalgs curves guid hash-key pool-conn-name sigalgs", taking: .word,
      atRunTime: .acceptedSince(HAProxyVersion(3, 0)), isOld: false)
    add(
      "namespace redir resolve-net resolve-opts resolvers socks4", taking: .word, atRunTime: .refused)
    return table
  }()
}

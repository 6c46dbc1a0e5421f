/// A keyword of HAProxy 2.6's `server` line.
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
    case refused
    /// It only takes back what a `default-server` line said, and a server added at run time starts from nothing.
    case superfluous
  }

  var name: String
  var argument: Argument
  var atRunTime: AtRunTime

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
    case .address: HostAddress(word).map { !$0.isName } ?? false
    case .word: !word.isEmpty
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
    func add(_ argument: Argument, _ atRunTime: AtRunTime, _ names: String) {
      for name in names.split(separator: " ").map(String.init) {
        table[name] = ServerKeyword(name: name, argument: argument, atRunTime: atRunTime)
      }
    }
    let count = Argument.integer(0...2_147_483_647)
    let atLeastOne = Argument.integer(1...2_147_483_647)
    let port = Argument.integer(1...65_535)
    let tls = Argument.oneOf(["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"])

    add(.none, .accepted, "agent-check allow-0rtt backup check check-send-proxy check-ssl check-via-socks4 disabled")
    add(
      .none, .accepted, "enabled force-sslv3 force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-ssl-reuse no-sslv3")
    add(.none, .accepted, "no-tls-tickets no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 send-proxy send-proxy-v2")
    add(.none, .accepted, "send-proxy-v2-ssl send-proxy-v2-ssl-cn ssl tfo tls-tickets")
    add(.none, .superfluous, "no-agent-check no-backup no-check no-check-ssl no-check-send-proxy no-send-proxy")
    add(
      .none, .superfluous, "no-send-proxy-v2 no-send-proxy-v2-ssl no-send-proxy-v2-ssl-cn no-ssl no-tfo ssl-reuse stick"
    )
    add(.none, .refused, "non-stick")

    add(.address, .accepted, "addr agent-addr")
    add(port, .accepted, "agent-port port")
    add(.time(minimum: 1), .accepted, "agent-inter inter fastinter downinter")
    add(.time(minimum: 0), .accepted, "slowstart pool-purge-delay")
    add(.time(minimum: 0), .refused, "tcp-ut")
    add(atLeastOne, .accepted, "error-limit fall rise id")
    add(count, .accepted, "maxconn maxqueue minconn pool-low-conn pool-max-conn")
    add(count, .refused, "max-reuse")
    add(.integer(0...256), .accepted, "weight")
    add(.oneOf(["none", "layer4", "layer7"]), .accepted, "observe")
    add(.oneOf(["fastinter", "fail-check", "sudden-death", "mark-down"]), .accepted, "on-error")
    add(.oneOf(["shutdown-sessions"]), .accepted, "on-marked-down")
    add(.oneOf(["shutdown-backup-sessions"]), .accepted, "on-marked-up")
    add(tls, .accepted, "ssl-min-ver ssl-max-ver")
    add(.oneOf(["none", "required"]), .accepted, "verify")
    add(.oneOf(["auto", "h1", "h2"]), .accepted, "ws")
    add(.oneOf(["ipv4", "ipv6"]), .refused, "resolve-prefer")
    add(.oneOf(["legacy", "octet-count"]), .refused, "log-proto")
    add(
      .word, .accepted, "agent-send alpn ca-file check-alpn check-proto check-sni ciphers ciphersuites crl-file crt npn"
    )
    add(.word, .accepted, "proto proxy-v2-options sni source usesrc interface track verifyhost")
    add(.word, .refused, "cookie init-addr namespace redir resolve-net resolve-opts resolvers socks4")
    return table
  }()
}

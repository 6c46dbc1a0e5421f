/// Which release of HAProxy brought a directive, and which one refuses it: taken from the documentation and the source of
/// 1.8 to 3.4, one row for each. What is not listed is as old as 1.8 and still there.
///
/// Where a stable branch got a directive afterwards (`option http-restrict-req-hdr-names`, `option
/// idle-close-on-response`) there is no row: a line must not be skipped because of a guess.
extension Directives {
  /// The one to three words at the beginning of a line, the first release that has them (nil: before 2.0), the first
  /// that refuses them (nil: they are still there), and what to write instead.
  typealias Row = (phrase: String, since: HAProxyVersion?, until: HAProxyVersion?, instead: String)

  /// All rows of the table.
  static let rows: [Row] = gone + new

  /// Why a release refuses a line that begins with these words; nil as far as is known.
  static func refusal(of words: [String], by version: HAProxyVersion) -> String? {
    guard let row = row(of: words) else { return nil }
    if let since = row.since, version < since {
      return "HAProxy \(version) does not know `\(row.phrase)` yet, which is new in \(since.branch)"
    }
    guard let until = row.until, version >= until else { return nil }
    let advice = row.instead.isEmpty ? "remove it" : "write \(row.instead) instead"
    return "HAProxy \(version) has no `\(row.phrase)` any more, which was removed in \(until.branch); \(advice)"
  }

  /// The line that says the same to a release that refuses these words; nil: there is none, or it is not needed.
  static func translation(of line: String, for version: HAProxyVersion) -> String? {
    let words = line.words
    guard let row = row(of: words), let until = row.until, version >= until else { return nil }
    for (phrase, successor) in successors {
      let old = phrase.words
      if words.starts(with: old) { return ([successor] + words.dropFirst(old.count)).joined(separator: " ") }
    }
    return nil
  }

  /// Words that have one successor with the same meaning and the same arguments.
  private static let successors: KeyValuePairs = [
    "clitimeout": "timeout client", "timeout clitimeout": "timeout client", "contimeout": "timeout connect",
    "timeout contimeout": "timeout connect", "srvtimeout": "timeout server", "timeout srvtimeout": "timeout server",
    "redisp": "option redispatch", "redispatch": "option redispatch",
    "block": "http-request deny", "reqtarpit .": "http-request tarpit", "reqitarpit .": "http-request tarpit",
    "reqdeny .": "http-request deny", "reqideny .": "http-request deny",
  ]

  /// The row whose words the line begins with, most of them. `no option X` is about `option X`.
  static func row(of words: [String]) -> Row? {
    var words = words[...]
    if words.first == "no" || words.first == "default" { words = words.dropFirst() }
    for length in stride(from: min(3, words.count), to: 0, by: -1) {
      if let row = byPhrase[words.prefix(length).joined(separator: " ")] { return row }
    }
    return nil
  }

  private static let byPhrase = Dictionary(rows.map { ($0.phrase, $0) }, uniquingKeysWith: { $1 })

  /// Release, what to write instead, directives.
  private static let gone: [Row] = [
    (HAProxyVersion(1, 6), "`cookie` or `stick-table`", "appsession"),
    (HAProxyVersion(2, 1), "`timeout client`", "clitimeout, timeout clitimeout"),
    (HAProxyVersion(2, 1), "`timeout connect`", "contimeout, timeout contimeout"),
    (HAProxyVersion(2, 1), "`timeout server`", "srvtimeout, timeout srvtimeout"),
    (HAProxyVersion(2, 1), "`option redispatch`", "redisp, redispatch"),
    (HAProxyVersion(2, 1), "`http-request deny`", "block, reqdeny, reqideny"),
    (HAProxyVersion(2, 1), "`http-request allow`", "reqallow, reqiallow, reqpass, reqipass"),
    (HAProxyVersion(2, 1), "`http-request add-header`", "reqadd"),
    (HAProxyVersion(2, 1), "`http-request del-header`", "reqdel, reqidel"),
    (HAProxyVersion(2, 1), "`http-request replace-header` or `replace-path`", "reqrep, reqirep"),
    (HAProxyVersion(2, 1), "`http-request tarpit`", "reqtarpit, reqitarpit"),
    (HAProxyVersion(2, 1), "`http-response add-header`", "rspadd"),
    (HAProxyVersion(2, 1), "`http-response del-header`", "rspdel, rspidel"),
    (HAProxyVersion(2, 1), "`http-response replace-header`", "rsprep, rspirep"),
    (HAProxyVersion(2, 1), "`http-response deny`", "rspdeny, rspideny"),
    (HAProxyVersion(2, 3), "`http-request return status 200 if { src NETWORK }`", "monitor-net"),
    (HAProxyVersion(2, 5), "`option httpclose`", "option forceclose"),
    (HAProxyVersion(2, 5), "", "option http-tunnel, option http_proxy, option http-use-htx, grace"),
    (HAProxyVersion(2, 7), "`thread` on `bind`", "bind-process"),
  ].flatMap { until, instead, phrases in
    phrases.phrases.map { ($0, nil, until, instead) }
  }

  /// The directives that each release brought.
  private static let new: [Row] = """
    2.0: retry-on
    2.1: use-fcgi-app
    2.2: errorfiles, http-after-response, http-error, http-check comment, http-check connect, http-check send
    2.2: http-check set-var, http-check unset-var, http-request return, http-request strict-mode, http-response return
    2.2: http-response strict-mode, tcp-check comment, tcp-check send-binary-lf, tcp-check send-lf, tcp-check set-var
    2.2: tcp-check unset-var
    2.3: clitcpka-cnt, clitcpka-idle, clitcpka-intvl, srvtcpka-cnt, srvtcpka-idle, srvtcpka-intvl
    2.4: http-request normalize-uri, http-request set-timeout, http-request wait-for-body, http-response wait-for-body
    2.5: error-log-format, option httpslog, http-check set-var-fmt, tcp-check set-var-fmt, http-request sc-inc-gpc
    2.5: http-request sc-set-gpt, http-response sc-inc-gpc, http-response sc-set-gpt
    2.7: http-request set-bandwidth-limit, http-response set-bandwidth-limit, tcp-request content set-bandwidth-limit
    2.7: tcp-response content set-bandwidth-limit
    2.8: option forwarded, http-request sc-add-gpc, http-response sc-add-gpc
    2.9: timeout client-hs, http-response set-timeout, tcp-request session attach-srv
    3.0: guid, http-request set-bc-mark, http-request set-bc-tos, http-request set-fc-mark, http-request set-fc-tos
    3.0: http-response set-fc-mark, http-response set-fc-tos
    3.1: log-steps, quic-initial, http-request do-log, http-response do-log, http-request set-retries
    3.2: hash-preserve-affinity, option http-drop-request-trailers, option http-drop-response-trailers
    3.2: http-request pause, http-response pause
    """.split(separator: "\n").flatMap { line -> [Row] in
      let parts = line.split(separator: ":", maxSplits: 1).map(String.init)
      return parts[1].phrases.map { ($0, HAProxyVersion(parts[0]), nil, "") }
    }
}

extension String {
  /// Directives between commas and line ends.
  var phrases: [String] {
    split(whereSeparator: { $0 == "," || $0.isNewline }).map { String($0).words.joined(separator: " ") }
  }
}

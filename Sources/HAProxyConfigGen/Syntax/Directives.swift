/// Which of a service's two sections a directive may stand in: HAProxy 2.6's table of proxy keywords, what releases
/// back to 1.5 had, so that older configurations are split as they always were, and what came up to 3.2. Which release
/// has which is in the history.
///
/// Matching is by whole words: `option httpchkk` is not `option httpchk`.
enum Directives {
  /// Where a line may stand.
  enum Place { case frontend, backend, both, unknown }

  /// A line that begins with one of these starts a section of its own, which no list of a service may do.
  static let sectionStarters: Set<String> = [
    "global", "defaults", "frontend", "backend", "listen", "peers", "userlist", "mailers", "resolvers", "program",
    "cache", "ring", "log-forward", "http-errors", "fcgi-app", "namespace_list", "crt-store", "traces", "acme",
    "log-profile",
  ]

  static func place(of words: [String]) -> Place {
    var words = words[...]
    if words.first == "no" || words.first == "default", words.count > 1, words[1] == "option" || words[1] == "log" {
      words = words.dropFirst()
    }
    for length in stride(from: min(3, words.count), to: 0, by: -1) {
      if let place = table[words.prefix(length).joined(separator: " ")] { return place }
    }
    return .unknown
  }

  /// Whether 2.6 has it no more, and skipping it costs nothing that would keep a request away from a
  /// server or a client away from a service. Only these are skipped in `defaults` when HAProxy refuses them.
  static func isObsolete(_ words: [String]) -> Bool {
    let directive = words.first == "no" ? words.dropFirst() : words[...]
    return directive.count >= 2 && directive.first == "option" && obsoleteOptions.contains(directive[1])
      || directive.first.map { obsolete.contains($0) } ?? false
  }

  /// Whether the line keeps something away: a client from a service, or HAProxy from the host. It is never skipped alone.
  static func isProtection(_ words: [String]) -> Bool {
    guard let first = words.first else { return false }
    if protections.contains(first) { return true }
    let second = words.count > 1 ? words[1] : ""
    switch first {
    case "http-request", "http-response", "http-after-response": return denials.contains(second)
    case "tcp-request", "tcp-response": return words.count > 2 && denials.contains(words[2])
    case "stats": return second == "auth" || second == "http-request"
    default: return false
    }
  }

  private static let denials: Set = ["deny", "reject", "tarpit", "silent-drop", "auth"]
  private static let protections: Set = [
    "block", "reqdeny", "reqideny", "reqtarpit", "reqitarpit", "rspdeny", "rspideny", "user", "group", "uid", "gid",
    "chroot", "ssl-default-bind-options", "ssl-default-bind-ciphers", "ssl-default-bind-ciphersuites",
  ]

  /// Whether the line is a part of the check of servers: only all of them together mean what was meant.
  static func isCheck(_ words: [String]) -> Bool {
    guard let first = words.first else { return false }
    if ["http-check", "tcp-check", "external-check"].contains(first) { return true }
    return first == "option" && words.count > 1 && checks.contains(words[1])
  }

  private static let checks: Set = [
    "httpchk", "tcp-check", "mysql-check", "pgsql-check", "redis-check", "smtpchk", "ldap-check", "ssl-hello-chk",
    "spop-check", "external-check",
  ]

  private static let obsoleteOptions: Set = ["forceclose", "http-tunnel", "http_proxy", "allredisp", "lb-agent-chk"]
  private static let obsolete: Set = [
    "grace", "redisp", "redispatch", "appsession", "clitimeout", "contimeout", "srvtimeout",
  ]

  private static let table: [String: Place] = {
    var table: [String: Place] = [:]
    for (place, list) in [(Place.both, both), (.frontend, frontend), (.backend, backend)] {
      for phrase in list.phrases { table[phrase] = place }
    }
    return table
  }()

  private static let both = """
    acl, bind-process, block, compression, description, disabled, email-alert from, email-alert level
    email-alert mailers, email-alert myhostname, email-alert to, enabled, errorfile, errorfiles, errorloc, errorloc302
    errorloc303, filter, force-persist, grace, guid, http-after-response, http-error, http-request, http-response, id
    ignore-persist, log, log-tag, mode, option forceclose, option forwardfor, option http-buffer-request
    option http-keep-alive, option http-no-delay, option http-pretend-keepalive, option http-restrict-req-hdr-names
    option http-server-close, option http-tunnel, option http_proxy, option httpclose, option httplog
    option independent-streams, option nolinger, option originalto, option splice-auto, option splice-request
    option splice-response, option tcpka, option tcplog, redirect, reqadd, reqallow, reqdel, reqdeny, reqiallow, reqidel
    reqideny, reqipass, reqirep, reqisetbe, reqitarpit, reqpass, reqrep, reqsetbe, reqtarpit, rspadd, rspdel, rspdeny
    rspidel, rspideny, rspirep, rsprep, stats admin, stats auth, stats enable, stats hide-version, stats http-request
    stats realm, stats refresh, stats scope, stats show-desc, stats show-legends, stats show-modules, stats show-node
    stats uri, stick-table, tcp-request content, tcp-request inspect-delay, timeout http-keep-alive
    timeout http-request, timeout tarpit
    """

  private static let frontend = """
    backlog, bind, log-steps, quic-initial, timeout client-hs, max-session-srv-conns, capture cookie, capture request header, capture response header, clitcpka-cnt, clitcpka-idle
    clitcpka-intvl, clitimeout, declare capture, default_backend, error-log-format, log-format, log-format-sd, maxconn
    monitor fail, monitor-net, monitor-uri, option accept-invalid-http-request, option clitcpka, option contstats
    option disable-h2-upgrade, option dontlog-normal, option dontlognull, option h1-case-adjust-bogus-client
    option http-ignore-probes, option http-use-proxy-header, option httpslog, option idle-close-on-response
    option log-separate-errors, option logasap, option socket-stats, option tcp-smart-accept, rate-limit sessions
    tcp-request connection, tcp-request session, timeout client, timeout client-fin, timeout clitimeout
    unique-id-format, unique-id-header, use_backend
    """

  private static let backend = """
    appsession, hash-balance-factor, hash-preserve-affinity, option forwarded, dynamic-cookie-key
    option http-drop-request-trailers, option http-drop-response-trailers, balance, contimeout, cookie, default-server, dispatch, external-check command, external-check path
    fullconn, hash-type, http-check comment, http-check connect, http-check disable-on-404, http-check expect
    http-check send, http-check send-state, http-check set-var, http-check set-var-fmt, http-check unset-var, http-reuse
    http-send-name-header, load-server-state-from-file, max-keep-alive-queue, option abortonclose
    option accept-invalid-http-response, option allbackups, option allredisp, option checkcache, option external-check
    option h1-case-adjust-bogus-server, option httpchk, option lb-agent-chk, option ldap-check
    option log-health-checks, option mysql-check, option persist, option pgsql-check, option prefer-last-server
    option redis-check, option redispatch, option smtpchk, option spop-check, option srvtcpka, option ssl-hello-chk
    option tcp-check, option tcp-smart-connect, option transparent, persist rdp-cookie, redisp, redispatch, retries
    retry-on, server, server-state-file-name, server-template, source, srvtcpka-cnt, srvtcpka-idle, srvtcpka-intvl
    srvtimeout, stick match, stick on, stick store-request, stick store-response, tcp-check comment, tcp-check connect
    tcp-check expect, tcp-check send, tcp-check send-binary, tcp-check send-binary-lf, tcp-check send-lf
    tcp-check set-var, tcp-check set-var-fmt, tcp-check unset-var, tcp-response content, tcp-response inspect-delay
    timeout check, timeout connect, timeout contimeout, timeout queue, timeout server, timeout server-fin
    timeout srvtimeout, timeout tunnel, transparent, use-fcgi-app, use-server
    """
}

import SmartStack
import Testing

@testable import HAProxyConfigGen

@Suite("server options") struct ServerOptionsTests {
  @Test(
    "good options from the registry are accepted",
    arguments: [
      "", "backup", "check inter 2s rise 3 fall 2", "maxconn 50 maxqueue 10 observe layer7", "id 77", "weight 256",
      "cookie abc backup", "send-proxy-v2 proxy-v2-options ssl,crc32c", "source 10.0.0.1 usesrc clientip",
      "source 10.0.0.1 interface lo", "check port %{port} addr %{host}", "ssl verify none sni str(a.example)",
      "disabled", "track web/i-1", "inter 500us", "slowstart 0", "agent-check agent-port 99 agent-inter 5s",
    ])
  func taken(_ text: String) throws {
    _ = try RegistrationOptions(untrusted: text)
  }

  @Test(
    "bad options from the registry are refused",
    arguments: [
      "backup\nfrontend evil", "backup\r", "a\tb", "check # comment", "check \"x\"", "check 'x'", "check \\",
      "check;show",
      "sni $HOST", "%{nope}", "id %{port}", "backup id", "id 0", "id 99999999999", "weight 257", "weight -1",
      "weight x",
      "inter", "inter 0", "inter 5x", "inter 25d", "rise 0", "rise 1.5", "maxconn a", "port 0", "port 70000",
      "observe layer9", "on-error explode", "addr example.com", "usesrc clientip", "interface lo", "nonsense",
      "no-verifyhost", "shard 1", "check extra", "backup bind", "server x 1.2.3.4:5", "ünï",
      String(repeating: "check ", count: 41), "crt " + String(repeating: "x", count: 1100), "check `x`", "check <x>",
    ])
  func refused(_ text: String) {
    #expect(throws: ServerProblem.self) { try RegistrationOptions(untrusted: text) }
  }

  @Test("id and disabled are lifted out of the text") func lifted() throws {
    let options = try RegistrationOptions(untrusted: "backup id 7 disabled maxconn 9")
    #expect(options.id == 7 && options.isDisabled)
    #expect(options.template.expanded(host: "h", port: 1, name: "n") == "backup maxconn 9")
  }

  @Test(
    "a template is filled in",
    arguments: [
      ("check port %{port} addr %{host} # %{name}", "check port 80 addr 10.0.0.1 # a_10.0.0.1:80"),
      ("50% off", "50% off"), ("100%% %{port}", "100% 80"), ("%<port>d %<host>s", "80 10.0.0.1"), ("%", "%"),
      ("%{port", "%{port"), ("%<port>x", "%<port>x"), ("", ""),
    ])
  func template(_ text: String, _ expanded: String) throws {
    #expect(try ServerTemplate(text).expanded(host: "10.0.0.1", port: 80, name: "a_10.0.0.1:80") == expanded)
  }

  @Test("an unknown template key is named") func unknownKey() {
    #expect(throws: ServerProblem(subject: "%{zone}", reason: "is none of %{host}, %{port} and %{name}")) {
      try ServerTemplate("check %{zone}")
    }
  }

  @Test(
    "a server's own options replace those of default-server lines",
    arguments: [
      ("inter 10m rise 1 inter 2s", "rise 1 inter 2s"), ("check no-check", "no-check"), ("no-check check", "check"),
      ("source 10.0.0.1 usesrc clientip source 10.0.0.2", "source 10.0.0.2"), ("disabled enabled", "enabled"),
      ("non-stick stick", "stick"),
    ])
  func merge(_ text: String, _ merged: String) throws {
    let options = ServerOption.merge(try ServerOption.read(text.words))
    #expect(options.flatMap(\.words).joined(separator: " ") == merged)
  }

  /// The table of keywords against the installed program: what we take, its file takes, and `add server`
  /// takes exactly what the table says.
  @Test("HAProxy agrees with the table") func agreement() async throws {
    let samples = [
      "addr 127.0.0.2", "agent-check agent-port 99", "agent-send x", "agent-inter 5s", "agent-addr 127.0.0.1",
      "allow-0rtt", "alpn http/1.1", "backup", "check", "check-send-proxy", "check-alpn http/1.1", "check-proto h2",
      "check-sni foo.bar", "check-ssl", "check-via-socks4", "ciphers AES128-SHA", "ciphersuites TLS_AES_128_GCM_SHA256",
      "disabled", "error-limit 3", "fall 3", "force-tlsv12", "id 77", "inter 2s", "fastinter 1s",
      "downinter 1s",
      "maxconn 10", "maxqueue 10", "minconn 2", "no-ssl-reuse", "no-sslv3", "no-tls-tickets", "no-tlsv10",
      "npn http/1.1",
      "observe layer7", "observe none", "on-error mark-down", "on-marked-down shutdown-sessions",
      "on-marked-up shutdown-backup-sessions", "pool-low-conn 2", "pool-max-conn 2", "pool-purge-delay 5s", "port 99",
      "proto h2", "rise 2", "send-proxy", "send-proxy-v2", "proxy-v2-options ssl", "send-proxy-v2-ssl",
      "send-proxy-v2-ssl-cn", "slowstart 10s", "sni str(foo)", "source 127.0.0.1", "source 127.0.0.1 usesrc clientip",
      "source 127.0.0.1 interface lo", "ssl verify none", "ssl-max-ver TLSv1.2", "ssl-min-ver TLSv1.2", "tfo",
      "tls-tickets", "verifyhost foo", "weight 0", "weight 256", "ws h1", "cookie abc", "init-addr none",
      "log-proto octet-count", "max-reuse 3", "redir http://foo", "resolve-opts allow-dup-ip", "resolve-prefer ipv4",
      "resolve-net 10.0.0.0/8", "socks4 127.0.0.1:1080", "tcp-ut 5s", "non-stick",
    ]
    let head = """
      global
      \tstats socket SOCKET level admin
      \tssl-server-verify none
      defaults
      \tmode http
      \ttimeout connect 1s
      \ttimeout client 1s
      \ttimeout server 1s

      """
    let servers = samples.enumerated().map { "backend b\($0)\n\tserver s 127.0.0.1:1 \($1)\n" }.joined()
    let checked = try HAProxyTool.check((head + servers).replacingSocket(with: "/tmp/unused"))
    #expect(checked.isAccepted, "\(checked.output)")
    let release = try HAProxyTool.version()
    let proxy = try await RunningHAProxy(head + "listen l\n\tbind unix@SOCKET.l\nbackend b\n")
    for (index, sample) in samples.enumerated() {
      _ = try RegistrationOptions(untrusted: sample)
      let reply = try proxy.ask("add server b/s\(index) 127.0.0.1:1 \(sample)")
      let isAccepted = reply.contains("New server registered")
      let keyword = try #require(ServerKeyword.named(sample.words[0]))
      #expect(isAccepted == keyword.isAccepted(by: release), "\(sample): \(reply)")
    }
    // Those are known to no program of ours but the newest, and to no registration.
    for (index, sample) in ["curves P-256", "sigalgs x", "client-sigalgs x", "guid g", "hash-key id"].enumerated() {
      #expect(throws: ServerProblem.self) { try RegistrationOptions(untrusted: sample) }
      let reply = try proxy.ask("add server b/new\(index) 127.0.0.1:1 \(sample)")
      let keyword = try #require(ServerKeyword.named(sample.words[0]))
      #expect(reply.contains("New server registered") == keyword.isAccepted(by: release), "\(sample): \(reply)")
    }
  }
}

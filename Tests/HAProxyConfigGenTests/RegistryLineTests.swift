import Testing

@testable import HAProxyConfigGen

/// What a section of the registry may say: a closed list.
@Suite("sections of the registry") struct RegistryLineTests {
  @Test(
    "lines that are taken over",
    arguments: [
      "timeout client 5s", "maxconn 100", "option http-keep-alive", "no option httpclose", "timeout http-request 500ms",
    ]) func frontend(_ line: String)
  { #expect(RegistryLines.problem(of: line, in: .frontend) == nil) }

  @Test(
    "lines of a backend that are taken over",
    arguments: [
      "timeout server 5s", "retries 3", "balance leastconn", "balance uri whole", "balance random(2)",
      "option redispatch",
      "option redispatch 1", "option httpchk GET /status", "http-check expect status 200-299,304", "http-reuse safe",
      "http-check send-state", "default-server check inter 2s maxconn 50 weight 7", "hash-type consistent",
      "retry-on conn-failure 503", "fullconn 10",
    ]) func backend(_ line: String) throws
  {
    #expect(RegistryLines.problem(of: line, in: .backend) == nil)
    var model = Fixture.model([Fixture.backend(1)], service: Fixture.service { $0.backend = [line] })
    #expect(try HAProxyTool.settle(&model).isAccepted && model.problems.isEmpty, "\(model.problems)")
  }

  @Test(
    "lines that are not taken over",
    arguments: [
      "bind :1", "default_backend other", "use_backend other", "http-request return status 200 file /etc/passwd",
      "http-request deny", "errorfile 503 /etc/passwd", "errorfiles x", "stats enable", "stats admin if TRUE",
      "server evil 10.0.0.1:1", "server-template e 1 10.0.0.1:1", "default-server crt /etc/key.pem",
      "default-server addr 10.0.0.1",
      "default-server cookie x", "default-server disabled", "timeout server 5s # x", "timeout server \"5s\"",
      "timeout server 5 s",
      "timeout server $HOME", "http-check connect addr 10.0.0.1 port 1", "http-check send hdr A %[env(B)]",
      "lua-load /x",
      "filter spoe engine x config /y", "log 10.0.0.1:514 local0", "acl x src -f /etc/passwd",
      "option httpchk GET / HTTP/9",
      "http-check expect status abc", "external-check command /bin/sh", "option external-check", "dispatch 10.0.0.1:1",
      "compression algo gzip", "timeout client 1s\nbind :1", "load-server-state-from-file global", "id 7", "",
      "no bind",
      "source 10.0.0.1", "option httpchk GET /\\r\\nX:", "timeout client 99999999999999999999s", "retries -1",
      "backend evil",
    ]) func refused(_ line: String)
  {
    #expect(RegistryLines.problem(of: line, in: .backend) != nil)
    #expect(RegistryLines.problem(of: line, in: .frontend) != nil)
  }

  @Test("lines stand behind the configured ones, options are added, everything else is skipped and named") func adding()
  {
    let configured = Fixture.service {
      $0.backend = ["http-request deny if { path /admin }"]
      $0.serverOptions = "check ssl verify required # note"
    }
    let (settings, problems) = configured.adding(registrySection: [
      ("port", ["1"]), ("bind_address", ["/etc/x"]), ("backend", ["timeout server 9s", "server evil 10.0.0.1:1"]),
      ("listen", ["timeout client 9s", "retries 2", "stats enable"]), ("server_options", ["inter 9s"]),
      ("backend_order", ["desc"]), ("use_nerve_weights", ["true"]), ("shared_frontend", ["bind :1"]),
      ("disabled", ["true"]),
    ])
    #expect(settings.backend == ["http-request deny if { path /admin }", "timeout server 9s"])
    #expect(settings.listen == ["timeout client 9s", "retries 2"])
    #expect(settings.serverOptions == "check ssl verify required inter 9s # note")
    #expect(settings.backendOrder == .descending && settings.usesNerveWeights == true)
    #expect(settings.port == configured.port && settings.bindAddress == nil && !settings.isDisabled)
    #expect(problems.count == 6)
    #expect(problems.allSatisfy { $0.origin.description == "services.web.main.haproxy, section of the registry" })
    let hostile = configured.adding(registrySection: [("server_options", ["crt /etc/key.pem"])])
    #expect(hostile.0 == configured && hostile.1.count == 1)
  }
}

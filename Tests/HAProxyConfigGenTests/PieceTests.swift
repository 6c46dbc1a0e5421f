import SmartStack
import Testing

@testable import HAProxyConfigGen

@Suite("small pieces") struct PieceTests {
  @Test(
    "where directives may stand",
    arguments: [
      ("timeout client 3s", Directives.Place.frontend), ("timeout   server 3s", .backend), ("mode tcp", .both),
      ("option httplog clf", .both), ("option httpchk GET /h", .backend), ("no option httpclose", .both),
      ("no log", .both), ("no timeout client", .unknown), ("bind :80", .frontend), ("bindx", .unknown),
      ("option httpchkk", .unknown), ("serverless", .unknown), ("TIMEOUT client 3s", .unknown), ("stats", .unknown),
      ("capture request header X len 4", .frontend), ("capture", .unknown), ("http-check send meth GET", .backend),
      ("use_backend x if y", .frontend), ("option http-use-htx", .unknown), ("reqidel ^X", .both),
    ])
  func place(_ line: String, _ place: Directives.Place) {
    #expect(Directives.place(of: line.words) == place)
  }

  @Test(
    "hosts",
    arguments: [
      ("10.0.0.1", true), ("0.0.0.0", true), ("10.0.0.300", false), ("10.0.0.01", false), ("10.0.0", false),
      ("1.2.3.4.5", false), ("::1", true), ("2001:db8::5", true), ("::ffff:10.0.0.1", true), ("1::2::3", false),
      ("2001:db8:0:0:0:0:0:0:1", false), (":::", false), ("fe80::1%eth0", false), ("db.example.com", true),
      ("my_host-1", true), ("host.", true), ("-host", false), ("a..b", false), (".a", false), ("", false), ("*", false),
      ("/run/x.sock", false), ("unix@x", false), ("fd@3", false), ("a b", false), ("a\nb", false), ("bücher", false),
      ("123", false), ("abns@x", false), ("$HOST", false), ("localhost", true),
    ])
  func host(_ text: String, _ isHost: Bool) {
    #expect(text.isHost == isHost)
  }

  @Test("addresses written in two ways are one") func sameAddress() {
    #expect(IPAddress("2001:db8::1") == IPAddress("2001:0DB8:0:0:0:0:0:1"))
    #expect(IPAddress("::ffff:10.0.0.1") == IPAddress("::ffff:a00:1"))
    #expect(IPAddress("::1") != IPAddress("::2"))
  }

  @Test(
    "a version is read with and without Debian's suffix",
    arguments: [
      ("2.6.12-1+deb12u4", HAProxyVersion(2, 6, 12)), ("3.0-dev5", HAProxyVersion(3, 0)),
      ("2.8.3", HAProxyVersion(2, 8, 3)),
    ])
  func readsVersions(text: String, version: HAProxyVersion) {
    #expect(HAProxyVersion(text) == version)
    #expect(HAProxyVersion("none") == nil)
  }

  @Test("servers are deleted from 2.6.13 on, but never on 2.7")
  func deletion() {
    let able = [(2, 6, 12), (2, 6, 13), (2, 7, 9), (2, 8, 0), (3, 0, 0)].map {
      HAProxyVersion($0, $1, $2).deletesServers
    }
    #expect(able == [false, true, false, true, true])
  }

  @Test(
    "comments begin outside quotes",
    arguments: [
      ("check # 50% off", "check", "# 50% off"), ("sni str(a#b)", "sni str(a", "#b)"),
      ("x \"a # b\" c", "x \"a # b\" c", ""),
      ("a\\# b", "a\\# b", ""), ("# all", "", "# all"), ("none", "none", ""),
    ])
  func splitsComments(text: String, plain: String, comment: String) {
    let parts = text.splitAtComment
    #expect(parts.plain == plain && parts.comment == comment)
  }
}

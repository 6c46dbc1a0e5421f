import Glibc
import Reactor
import TestSupport
import Testing

@testable import Hacheck

@Suite struct SpoolFileTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let contents: String
    let down: String
    var testDescription: String { contents }

    init(_ contents: String, _ down: String) {
      self.contents = contents
      self.down = down
    }
  }

  /// The sentence that PaaSTA parses, for each kind of file.
  static let cases = [
    Case(#"{"reason": "x", "expiration": null, "creation": 1000.5}"#, " since 1000.500000: x"),
    Case(#"{"reason": "", "expiration": null, "creation": 1000.5}"#, " since 1000.500000"),
    Case(#"{"reason": "maint", "expiration": 4102444800.0, "creation": null}"#, " until 4102444800.000000: maint"),
    Case(#"{"reason": "m", "expiration": 4102444800, "creation": 5}"#, " since 5.000000 until 4102444800.000000: m"),
    Case(#"{"reason": "x", "service": "other"}"#, ": x"),
    Case("{}", ""), Case(" {} \n", ""), Case("", ""),
    Case("plain old reason", ": plain old reason"), Case("by root\n", ": by root\n"),
    Case("[]", ": []"), Case("null", ": null"), Case("5", ": 5"), Case("\"x\"", ": \"x\""),
    Case(#"{"reason": "x""#, ": {\"reason\": \"x\""), Case("{reason: x}", ": {reason: x}"),
    Case(#"{"reason": "x", "expiration": "4102444800", "creation": 1.0}"#, " since 1.000000: x"),
    Case(#"{"reason": "x", "expiration": null, "creation": "abc"}"#, ": x"),
    Case(#"{"reason": "x", "expiration": NaN, "creation": Infinity}"#, ": x"),
    Case(#"{"reason": "x", "expiration": true, "creation": [1]}"#, ": x"),
    Case(#"{"reason": 5}"#, ": 5"), Case(#"{"reason": null}"#, ""), Case(#"{"reason": true}"#, ": True"),
    Case(#"{"reason": "a", "reason": "b"}"#, ": b"),
    Case(#"{"reason": "\u00e9\n\ud83d\ude00\ud800"}"#, ": é\n😀\u{FFFD}"),
    Case(#"{"reason": "x", "creation": 1e3}"#, " since 1000.000000: x"),
  ]

  @Test(arguments: cases) func everyFileMakesASentence(_ c: Case) {
    let mark = Downtime(of: SpoolScope(fileName: "svc.main"), contents: Array(c.contents.utf8))
    #expect(mark.downText == "Service svc.main in down state" + c.down)
  }

  @Test func bytesThatAreNoTextAreShownRepaired() {
    let file = Downtime(of: .everything, contents: [0xff, 0xfe] + Array(" bad".utf8))
    #expect(file.reason == "\u{FFFD}\u{FFFD} bad")
  }

  @Test(arguments: ["", "x", "a \"b\"\\c\n\t\u{1}", "é😀", "50% off %s"])
  func whatIsWrittenIsReadAgain(_ reason: String) {
    let downtime = Downtime(
      scope: .everything, reason: reason, creation: 1_763_692_800.123456, expiration: 4_102_444_800.25)
    #expect(Downtime(of: .everything, contents: downtime.fileContents) == downtime)
    #expect(downtime.fileContents.allSatisfy { $0 < 0x80 })
  }

  @Test func whatACrashHasLeftUnfinishedIsRemoved() throws {
    let directory = TemporaryDirectory()
    for name in [".web.1a2b~", ".web.draft~", ".new.1a2b~", "web~", "web"] {
      try directory.write("", to: name)
      let seconds = name.hasPrefix(".new") ? 2_000_000 : 1_000_000
      let times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
      #expect(utimensat(AT_FDCWD, "\(directory.path)/\(name)", times, 0) == 0)
    }
    SpoolDirectory(root: directory.path).removeUnfinished(olderThan: 1_500_000)
    #expect(try Files.list(directory.path).sorted() == [".new.1a2b~", ".web.draft~", "web", "web~"])
  }

  @Test func theFormatIsTheOriginals() {
    let downtime = Downtime(scope: .everything, reason: "because", creation: 1000.5, expiration: nil)
    #expect(
      String(decoding: downtime.fileContents, as: UTF8.self)
        == #"{"reason": "because", "expiration": null, "creation": 1000.5}"#)
    // Who set it stands last; upstream's programs look for the other three only.
    let known = Downtime(scope: .everything, reason: "b", creation: 1, expiration: nil, setter: "a\"b")
    #expect(
      String(decoding: known.fileContents, as: UTF8.self)
        == #"{"reason": "b", "expiration": null, "creation": 1.0, "by": "a\"b"}"#)
    #expect(Downtime(of: .everything, contents: known.fileContents) == known)
  }

  @Test(arguments: [
    "all", "web.main", "web.main:8080", "web.main:10.1.2.3:8080", "web.main:fe80::1:8080", "a:b", ":1", "a:",
  ])
  func fileNamesSurviveTheirScope(_ name: String) {
    #expect(SpoolScope(fileName: name).description == name)
  }

  @Test func scopesHaveTheOriginalsNames() {
    #expect(SpoolScope(service: "all", port: nil) == .everything)
    #expect(SpoolScope(service: "web", port: nil, host: "10.0.0.1") == .service("web"))
    #expect(SpoolScope(service: "web", port: 80, host: "127.0.0.1").description == "web:80")
    #expect(SpoolScope(service: "web", port: 80, host: "10.0.0.1").description == "web:10.0.0.1:80")
    #expect(SpoolScope(fileName: "web:10.0.0.1:80") == .instance(service: "web", host: "10.0.0.1", port: 80))
    #expect(SpoolScope(fileName: "svc.b:abc") == .service("svc.b:abc"))
  }

  @Test func theSentenceNamesWhatIsDown() {
    func text(_ scope: SpoolScope) -> String {
      Downtime(scope: scope, reason: "r", creation: nil, expiration: nil).downText
    }
    #expect(text(.everything) == "Service all in down state: r")
    #expect(text(.instance(service: "web", host: "10.0.0.1", port: 80)) == "Service web in down state: r")
  }

  @Test func marksEndAfterTheirSecond() {
    let mark = Downtime(scope: .everything, reason: "", creation: nil, expiration: 10)
    #expect(!mark.hasExpired(at: 10))
    #expect(mark.hasExpired(at: 10.001))
    #expect(!Downtime(scope: .everything, reason: "", creation: nil, expiration: nil).hasExpired(at: 1e12))
  }
}

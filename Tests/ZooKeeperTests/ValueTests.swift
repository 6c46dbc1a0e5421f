import Logging
import Reactor
import SmartStack
import Testing

@testable import ZooKeeper

@Suite struct ZooKeeperValueTests {
  struct Sequel: Sendable {
    let child: String
    let name: String
    let isSequel: Bool
  }

  @Test(
    "a child belongs to a name when exactly ZooKeeper's digits follow it",
    arguments: [
      Sequel(child: "web1_0000000003", name: "web1_", isSequel: true),
      Sequel(child: "web1_-0000000003", name: "web1_", isSequel: true),
      Sequel(child: "web1_-000000003", name: "web1_", isSequel: true),
      Sequel(child: "web1_", name: "web1_", isSequel: false),
      Sequel(child: "web1_003", name: "web1_", isSequel: false),
      Sequel(child: "web1_00000000031", name: "web1_", isSequel: false),
      Sequel(child: "web1_x000000003", name: "web1_", isSequel: false),
      Sequel(child: "web10_0000000003", name: "web1_", isSequel: false),
      Sequel(child: "web1_1_0000000003", name: "web1_", isSequel: false),
    ])
  func aSequelHasZooKeepersDigitsAfterTheName(_ c: Sequel) {
    #expect(Registration.isSequel(c.child, of: c.name) == c.isSequel)
  }

  @Test func savedSessionsSurviveBeingWrittenDown() {
    let session = SavedSession(id: -0x7ff0_0000_0000_0001, password: (0..<16).map { $0 * 16 + 5 })
    #expect(SavedSession(text: session.text) == session)
    for text in ["", "1", "1:", "1:00", "x:00112233445566778899aabbccddeeff", "1:0011223344556677889900aabbccddxx"] {
      #expect(SavedSession(text: text) == nil, "\(text)")
    }
  }

  @Test func watchesOfLesserImportanceStopEarlier() {
    var budget = WatchBudget(limit: 800)
    var answers: [Bool] = []
    for (bytes, kind) in [
      (600, WatchKey.Kind.data), (1, .nodeCreation), (100, .own), (1, .own), (100, .children), (1, .directoryCreation),
    ] {
      answers.append(budget.admit(bytes, for: kind))
    }
    #expect(answers == [true, false, true, false, true, false])
    budget.release(800)
    #expect(budget.used == 0)
    let isAdmitted = budget.admit(600, for: .data)
    #expect(isAdmitted)
  }

  @Test func aWatchCostsItsPathAndItsLength() { #expect(WatchBudget.cost(of: "/a/b", chroot: "/root") == 4 + 9) }

  @Test func theFirstChangeIsReadAtOnceAndLongListsPause() {
    let start = ContinuousClock.now
    var pacing = ReadPacing(now: start)
    #expect(pacing.delay(now: start) == .zero)
    pacing.didRead(size: 1000, now: start)
    #expect(pacing.delay(now: start) == .milliseconds(100))
    #expect(pacing.delay(now: start + .milliseconds(100)) == .zero)
    pacing.didRead(size: 10_000, now: start)
    #expect(pacing.delay(now: start) == ReadPacing.longestPause)
  }

  struct Restless: Sendable {
    let names: Int
    let reads: ClosedRange<Int>
  }

  /// A change every millisecond for two minutes.
  @Test(arguments: [
    Restless(names: 1, reads: 60_000...70_000), Restless(names: 100, reads: 6_000...7_000),
    Restless(names: 1000, reads: 600...700), Restless(names: 100_000, reads: 100...200),
  ])
  func aDirectoryThatNeverRestsIsReadMoreSeldomTheLongerItIs(_ c: Restless) {
    var now = ContinuousClock.now
    let end = now + .seconds(120)
    var pacing = ReadPacing(now: now)
    var reads = 0
    while now < end {
      pacing.didRead(size: c.names, now: now)
      reads += 1
      now += max(.milliseconds(1), pacing.delay(now: now))
    }
    #expect(c.reads.contains(reads), "\(reads)")
  }

  @Test func patienceGrowsInAFightAndIsForgottenAfterwards() {
    var now = ContinuousClock.now
    var backoff = RecreateBackoff()
    var pauses: [Duration] = []
    for _ in 0..<10 {
      backoff.made(now: now)
      now += .seconds(1)
      backoff.lost(now: now)
      pauses.append(backoff.pause(now: now))
    }
    #expect(pauses[0] == .zero)
    #expect((Duration.milliseconds(100)...(.milliseconds(200))).contains(pauses[1]))
    #expect((Duration.seconds(15)...(.seconds(30))).contains(pauses[9]))
    backoff.made(now: now)
    backoff.lost(now: now + .seconds(11))
    #expect(backoff.pause(now: now + .seconds(11)) == .zero)
  }

  @Test func theLibrarysLogLinesAreTakenApart() {
    let line = LibraryLog.parse(
      "2026-11-21 02:11:00,123:77(0x7f12):ZOO_WARN@zookeeper_interest@2545: Delaying connection: [a@b]\n")
    #expect(line?.level == "ZOO_WARN")
    #expect(line?.function == "zookeeper_interest")
    #expect(line?.text == "Delaying connection: [a@b]")
    #expect(LibraryLog.parse("nonsense") == nil)
  }

  @Test @LoopActor func theLibraryRepeatsItselfQuietly() throws {
    let error = try #require(LibraryLog.parse("t:ZOO_ERROR@f@1: refused"))
    let warning = try #require(LibraryLog.parse("t:ZOO_WARN@f@1: slow"))
    #expect(LibraryLog.level(of: error, isRepeated: false) == .warning)
    #expect(LibraryLog.level(of: error, isRepeated: true) == .debug)
    #expect(LibraryLog.level(of: warning, isRepeated: false) == .info)
  }

  @Test func onlyWhatNoServerAnsweredIsAmbiguous() {
    // Connection loss, operation time-out, marshalling, closing; then answers of a server.
    for code: Int32 in [-4, -7, -5, -1, -116] { #expect(ZooKeeperError.Code(code).isAmbiguous, "\(code)") }
    for code: Int32 in [-101, -102, -108, -110, -112, -127] {
      #expect(!ZooKeeperError.Code(code).isAmbiguous, "\(code)")
    }
  }

  @Test func errorsAreSentences() {
    let error = ZooKeeperError(code: .noAuth, operation: "create", path: "/a/b")
    #expect("\(error)" == "ZooKeeper refused create /a/b: not permitted by the node's access control list")
  }

  @Test func theSameServersInAnyOrderAreOneEnsemble() throws {
    #expect(try ServerList(["b:2181", "a"]) == ServerList(["a:2181,b:2181", "b:2181"]))
  }

  @Test("ensembles by their short names")
  func clusters() throws {
    let names = [
      (["zk12-devc.example.com:2181", "zk3-devc.example.com:2181"], "zk12-devc"),
      (["zookeeper7.local:2181"], "zookeeper"), (["127.0.0.1:2181"], "127.0.0.1:2181"),
    ]
    for (hosts, name) in names { #expect(try ServerList(hosts).cluster == name) }
  }

  struct Connection: Sendable {
    let text: String
    let servers: [String]?
    var chroot = ""
  }

  @Test(
    "connection strings",
    arguments: [
      Connection(text: "a:1", servers: ["a 1"]),
      Connection(text: "a:1, b:2", servers: ["a 1", "b 2"]),
      Connection(text: "a,b:2/", servers: ["a 2181", "b 2"]),
      Connection(text: "a:1/x/y", servers: ["a 1"], chroot: "/x/y"),
      Connection(text: "[::1]:5,[::2]", servers: ["::1 5", "::2 2181"]),
      Connection(text: "", servers: nil),
      Connection(text: "/x", servers: nil),
      Connection(text: "a:0", servers: nil),
      Connection(text: "a:b", servers: nil),
      Connection(text: "a:70000", servers: nil),
      Connection(text: "a:1,", servers: ["a 1"]),
      Connection(text: "a:1/x,b:1/x", servers: ["a 1", "b 1"], chroot: "/x"),
      Connection(text: "a:1/x,b:1/y", servers: nil),
      Connection(text: "a:1/x/../y", servers: nil),
      Connection(text: "tcp://a:1", servers: nil),
      Connection(text: ":2181", servers: nil),
      Connection(text: "7", servers: nil),
      Connection(text: "a b:1", servers: nil),
    ])
  func connections(_ c: Connection) {
    let list = try? ServerList([c.text])
    #expect(list?.servers.map { "\($0.host) \($0.port)" } == c.servers)
    #expect(list?.chroot ?? "" == c.chroot)
  }

  @Test func libzookeeperIsGivenAnOddNumberOfAddresses() {
    #expect(ServerList.joined(["a:1"], chroot: "/x") == "a:1/x")
    #expect(ServerList.joined(["a:1", "b:1", "c:1"], chroot: "") == "a:1,b:1,c:1")
    #expect(["a:1,b:1,a:1", "a:1,b:1,b:1"].contains(ServerList.joined(["a:1", "b:1"], chroot: "")))
  }

  @Test func aNameWithoutAnAddressDoesNotSpoilTheOthers() async throws {
    let list = try ServerList(["nowhere.invalid:1,127.0.0.1:2,127.0.0.1:3"])
    let host = "127.0.0.1"
    #expect(await list.addresses(by: .system, deadline: .seconds(20)) == ["\(host):2": host, "\(host):3": host])
  }
}

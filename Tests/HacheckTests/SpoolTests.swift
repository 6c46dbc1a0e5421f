import Glibc
import Logging
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Hacheck

@Suite struct SpoolTests {
  @LoopActor private final class Fixture {
    let directory = TemporaryDirectory()
    let clock: LoopClock
    let spool: Spool
    private(set) var events: [Set<SpoolScope>] = []
    private var stopObserving: (@LoopActor () -> Void)?

    init(clock: LoopClock = .system, files: [String: String] = [:], logger: Logger = .quiet) throws {
      self.clock = clock
      for (name, text) in files { writeFile("\(directory.path)/\(name)", text) }
      spool = Spool(root: directory.path, clock: clock, logger: logger)
      try spool.open()
      stopObserving = spool.observe { [weak self] scopes in self?.events.append(scopes) }
    }

    func exists(_ name: String) -> Bool { access("\(directory.path)/\(name)", F_OK) == 0 }
  }

  // MARK: Order of marks

  @Test @LoopActor func allComesFirstThenTheServiceThenTheInstance() throws {
    let fixture = try Fixture(files: [
      "all": #"{"reason": "everything"}"#, "web": #"{"reason": "service"}"#, "web:80": #"{"reason": "port"}"#,
      "web:10.0.0.1:80": #"{"reason": "host"}"#,
    ])
    func reason(_ service: String, _ port: Int?, _ host: String? = nil) -> String? {
      fixture.spool.downtime(for: service, port: port, host: host)?.reason
    }
    #expect(reason("web", 80) == "everything")
    unlink("\(fixture.directory.path)/all")
    unlink("\(fixture.directory.path)/web")
    fixture.spool.close()
    try fixture.spool.open()
    #expect(reason("web", 80) == "port")
    #expect(reason("web", 80, "10.0.0.1") == "host")
    #expect(reason("web", 81) == nil)
    #expect(reason("web", nil) == nil)
    #expect(reason("web", 80, "10.0.0.2") == nil)
  }

  // MARK: A file, an order and a tool are one event

  @Test @LoopActor func aFileIsAnEvent() async throws {
    let fixture = try Fixture()
    writeFile("\(fixture.directory.path)/web.main:31000", "maintenance")
    let scope = SpoolScope.instance(service: "web.main", host: nil, port: 31000)
    try await eventually("the mark is seen") {
      fixture.spool.downtime(for: "web.main", port: 31000, host: nil)?.reason == "maintenance"
    }
    #expect(fixture.events.allSatisfy { $0 == [scope] })
    unlink("\(fixture.directory.path)/web.main:31000")
    try await eventually("the mark is gone") { fixture.spool.downtime(for: "web.main", port: 31000, host: nil) == nil }
  }

  @Test @LoopActor func theFolderIsFollowedWhenOneFurtherUpWasRenamed() async throws {
    let directory = TemporaryDirectory()
    func makeFolders() { for part in ["/a", "/a/b", "/a/b/spool"] { mkdir(directory.path + part, 0o755) } }
    makeFolders()
    let spool = Spool(root: directory.path + "/a/b/spool", clock: .system, logger: .quiet)
    try spool.open()
    rename(directory.path + "/a", directory.path + "/old")
    makeFolders()
    // A tool writes where the path leads now; no event tells.
    writeFile(directory.path + "/a/b/spool/web", "{\"reason\": \"x\"}")
    try await eventually("the downtime is seen") { spool.downtime(for: "web", port: nil, host: nil) != nil }
    writeFile(directory.path + "/a/b/spool/other", "{\"reason\": \"x\"}")
    try await eventually("events arrive again") { spool.downtime(for: "other", port: nil, host: nil) != nil }
    // And with a change over HTTP at once.
    rename(directory.path + "/a", directory.path + "/older")
    makeFolders()
    writeFile(directory.path + "/a/b/spool/third", "{\"reason\": \"x\"}")
    try await spool.apply(.down(reason: "y", expiration: nil, creation: nil), to: .service("fourth"))
    #expect(spool.downtime(for: "fourth", port: nil, host: nil) != nil)
    #expect(spool.downtime(for: "third", port: nil, host: nil) != nil)
    #expect(spool.downtime(for: "web", port: nil, host: nil) == nil)
    spool.close()
  }

  @Test @LoopActor func anOrderIsInForceWhenItReturns() async throws {
    let fixture = try Fixture()
    try await fixture.spool.down(.service("web"), reason: "x", expiration: nil, creation: 5)
    #expect(
      fixture.spool.downtime(for: "web", port: 80, host: nil)?.downText == "Service web in down state since 5.000000: x"
    )
    #expect(fixture.events == [[.service("web")]])
    try await fixture.spool.up(.service("web"))
    #expect(fixture.spool.downtime(for: "web", port: 80, host: nil) == nil)
    #expect(fixture.events == [[.service("web")], [.service("web")]])
    #expect(!fixture.exists("web"))
  }

  @Test @LoopActor func aToolIsAnEvent() async throws {
    let fixture = try Fixture()
    let tool = SpoolDirectory(root: fixture.directory.path)
    try tool.down("web", reason: "tool", expiration: nil, creation: nil, now: 5)
    try await eventually("the mark is seen") {
      fixture.spool.downtime(for: "web", port: nil, host: nil)?.reason == "tool"
    }
    try tool.up("web")
    try await eventually("the mark is gone") { fixture.spool.downtime(for: "web", port: nil, host: nil) == nil }
    #expect(Set(fixture.events) == [[.service("web")]])
  }

  @Test @LoopActor func ordersForOneMarkKeepTheirOrder() async throws {
    let fixture = try Fixture()
    var tasks: [Task<Void, any Error>] = []
    for number in 0..<50 {
      tasks.append(
        Task.immediate { @LoopActor in
          if number.isMultiple(of: 2) {
            try await fixture.spool.down(.everything, reason: "\(number)", expiration: nil, creation: nil)
          } else {
            try await fixture.spool.up(.everything)
          }
        })
    }
    for task in tasks { try await task.value }
    #expect(fixture.spool.downtime(for: "web", port: nil, host: nil) == nil)
    #expect(!fixture.exists("all"))
  }

  // MARK: Times

  @Test @LoopActor func theSameReasonKeepsItsCreation() async throws {
    let fixture = try Fixture(files: ["web": #"{"reason": "same", "expiration": null, "creation": 1000.5}"#])
    try await fixture.spool.down(.service("web"), reason: "same", expiration: 4_102_444_800, creation: nil)
    #expect(
      fixture.spool.downtime(for: "web", port: nil, host: nil)
        == Downtime(scope: .service("web"), reason: "same", creation: 1000.5, expiration: 4_102_444_800))
    let before = fixture.clock.unixTime
    try await fixture.spool.down(.service("web"), reason: "other", expiration: nil, creation: nil)
    #expect(try #require(fixture.spool.downtime(for: "web", port: nil, host: nil)?.creation) >= before)
  }

  @Test @LoopActor func marksEndByThemselves() async throws {
    let clock = LoopClock.manual()
    let fixture = try Fixture(clock: clock)
    let end = clock.unixTime + 100
    try await fixture.spool.down(.service("web"), reason: "x", expiration: end, creation: nil)
    try await fixture.spool.down(.service("db"), reason: "x", expiration: end + 500, creation: nil)
    clock.advance(by: .seconds(100))
    #expect(fixture.spool.downtime(for: "web", port: nil, host: nil) != nil)
    let before = fixture.events.count
    clock.advance(by: .seconds(1))
    #expect(fixture.events.dropFirst(before) == [[.service("web")]])
    #expect(!fixture.exists("web"))
    #expect(fixture.spool.downtime(for: "db", port: nil, host: nil) != nil)
    clock.advance(by: .seconds(500))
    #expect(fixture.spool.count == 0)
    #expect(!fixture.exists("db"))
  }

  @Test @LoopActor func aMarkThatWasProlongedByAnotherHandStays() async throws {
    let clock = LoopClock.manual()
    let fixture = try Fixture(clock: clock)
    try await fixture.spool.down(.service("web"), reason: "x", expiration: clock.unixTime + 10, creation: nil)
    let longer = Downtime(scope: .service("web"), reason: "x", creation: 1, expiration: clock.unixTime + 1000)
    writeFile("\(fixture.directory.path)/web", String(decoding: longer.fileContents, as: UTF8.self))
    clock.advance(by: .seconds(11))
    #expect(fixture.spool.downtime(for: "web", port: nil, host: nil)?.expiration == longer.expiration)
    #expect(fixture.exists("web"))
  }

  @Test @LoopActor func whatIsOverAtTheStartIsRemoved() throws {
    let fixture = try Fixture(files: ["all": #"{"reason": "old", "expiration": 1.0, "creation": 1}"#])
    #expect(fixture.spool.count == 0)
    #expect(!fixture.exists("all"))
  }

  /// The file under construction is over before it has its name; it must not be tidied away.
  @Test @LoopActor func aMarkThatIsOverAlreadyCanBeSet() async throws {
    let fixture = try Fixture()
    for _ in 0..<200 {
      try await fixture.spool.down(.service("web"), reason: "x", expiration: 5, creation: nil)
      #expect(!fixture.exists("web"))
    }
    #expect(fixture.events.isEmpty)
  }

  @Test(arguments: ["web~", ".web.12ab~", "a/b", "..", ".", "", String(repeating: "x", count: 256)])
  func whatCannotBeAMarkIsNone(_ name: String) { #expect(!SpoolDirectory.isName(name)) }

  @Test(arguments: ["web", ".web", "web:80", "a b", String(repeating: "x", count: 255)])
  func everythingElseIs(_ name: String) { #expect(SpoolDirectory.isName(name)) }

  // MARK: Trouble

  @Test @LoopActor func aDirectoryIsNoMark() throws {
    let fixture = try Fixture()
    mkdir("\(fixture.directory.path)/web", 0o755)
    fixture.spool.close()
    try fixture.spool.open()
    #expect(fixture.spool.downtime(for: "web", port: nil, host: nil) == nil)
  }

  /// Somebody asked for a downtime. A link to itself cannot be read by root either.
  @Test @LoopActor func aFileThatCannotBeReadIsADowntimeUntilItSaysOtherwise() async throws {
    let (clock, errors) = (LoopClock.manual(), Journal(from: .error))
    let fixture = try Fixture(clock: clock, logger: errors.logger)
    let (spool, path) = (fixture.spool, "\(fixture.directory.path)/web")
    func replaceByALink() { #expect(unlink(path) == 0 && symlink("web", path) == 0) }
    func web() -> Downtime? { spool.downtime(for: "web", port: 80, host: nil) }
    #expect(symlink("web", path) == 0)
    try await eventually("it is seen") { web()?.reason == "(Too many levels of symbolic links)" }
    #expect(web()?.expiration == nil)
    // Looked at again, and said no more.
    clock.advance(by: .seconds(61))
    #expect(web() != nil)
    #expect(
      errors.lines.count == 1 && errors.contains("downtime cannot be read, it holds") && errors.contains("scope=web"))
    // What is known of it holds until its end; then somebody may have prolonged it.
    try await spool.down(.service("web"), reason: "x", expiration: clock.unixTime + 30, creation: nil)
    replaceByALink()
    try await eventually("it is seen") { errors.lines.count == 2 }
    #expect(web()?.reason == "x")
    clock.advance(by: .seconds(31))
    #expect(web()?.expiration == nil)
    // Mended without an event.
    #expect(unlink(path) == 0)
    clock.advance(by: .seconds(61))
    #expect(web() == nil)
    #expect(errors.lines.count == 2)
    #expect(symlink("web", path) == 0)
    try await eventually("it is seen") { web() != nil }
    try await spool.up(.service("web"))
    #expect(web() == nil)
  }

  @Test @LoopActor func theSpoolIsMadeWithMode0750ButNotItsParents() throws {
    let directory = TemporaryDirectory()
    try Spool(root: directory.path + "/spool", clock: .system, logger: .quiet).open()
    var status = stat()
    #expect(stat(directory.path + "/spool", &status) == 0)
    #expect(status.st_mode & 0o777 == 0o750)
    let error = #expect(throws: FileError.self) {
      try Spool(root: directory.path + "/a/b", clock: .system, logger: .quiet).open()
    }
    #expect(error?.description.contains("No such file or directory") == true)
  }

  @Test @LoopActor func aSpoolThatIsGoneIsAnErrorOfTheOrder() async throws {
    let fixture = try Fixture()
    rmdir(fixture.directory.path)
    await #expect(throws: (any Error).self) {
      try await fixture.spool.down(.everything, reason: "x", expiration: nil, creation: nil)
    }
    #expect(fixture.spool.count == 0)
  }

  @Test @LoopActor func observersCanLeave() async throws {
    let fixture = try Fixture()
    var calls = 0
    let stop = fixture.spool.observe { _ in calls += 1 }
    try await fixture.spool.down(.everything, reason: "x", expiration: nil, creation: nil)
    stop()
    try await fixture.spool.up(.everything)
    #expect(calls == 1)
  }
}

extension Logger {
  /// Says nothing.
  static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

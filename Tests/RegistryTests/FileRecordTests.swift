import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry

@Suite struct FileNameTests {
  static let cases = [
    ("web.main", "host1", "web.main@host1.json"),
    ("web_0", "i-0a.b", "web_0@i-0a.b.json"),
    ("a/b", "h", "a%2fb@h.json"),
    (".hidden", "h", "%2ehidden@h.json"),
    ("a@b", "c", "a%40b@c.json"),
    ("é\n", "h", "%c3%a9%0a@h.json"),
  ]

  @Test("names", arguments: cases) func aFileNameEscapesWhatIsNotALetterOrDigit(
    _ service: String, _ instance: String, _ expected: String
  ) {
    #expect(FileTarget.name(service: service, instance: instance) == expected)
    #expect(expected.hasSuffix(FileTarget.nameEnding(of: instance)))
  }

  @Test func filesOfOneInstanceAreNotTakenForAnothers() {
    let file = FileTarget.name(service: "web", instance: "a@b")
    #expect(!file.hasSuffix(FileTarget.nameEnding(of: "b")))
  }
}

@Suite @LoopActor struct FileRecordTests {
  let directory = TemporaryDirectory()
  let registry = FileRegistry(clock: .system, logger: silent)
  private let events = Events()

  private var root: String { directory.path + "/registrations/web" }

  private func target(_ service: String = "web", data: String = "{}", renewal: Duration? = nil) -> FileTarget {
    FileTarget(
      directory: root, name: FileTarget.name(service: service, instance: "host1"), data: Array(data.utf8),
      renewal: renewal)
  }

  private func registrar(_ target: FileTarget) -> Registrar {
    Registrar(target: .file(target), record: registry.join(target), clock: .system) { [events] in events.add($0) }
  }

  private func text(_ target: FileTarget) -> String? {
    (try? Files.read(target.path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }

  @Test func theFileFollowsTheVerdict() async throws {
    let target = target(data: #"{"host":"10.0.0.5"}"#)
    let registrar = registrar(target)
    #expect(registrar.state == .idle)
    registrar.report(.up)
    try await eventually("registered") { registrar.state == .settled(.up, place: target.path) }
    #expect(text(target) == #"{"host":"10.0.0.5"}"#)
    #expect(try Files.list(root) == ["web@host1.json"])
    registrar.report(.down)
    try await eventually("gone") { registrar.state == .settled(.down, place: nil) }
    #expect(try Files.list(root) == [])
    registrar.report(.up)
    registrar.report(.down)
    registrar.report(.up)
    try await eventually("back") { registrar.state.isSettled && text(target) != nil }
    await registrar.close()
    #expect(try Files.list(root) == [])
    #expect(events.registrations == 2)
  }

  @Test func aFileOfAnEarlierRunIsTakenOverOrRemoved() async throws {
    try Files.makeDirectory(root, mode: 0o755)
    let (up, down) = (target("up", data: "{}"), target("down"))
    for target in [up, down] { writeFile(target.path, "{}") }
    let inode = fileNumber(up.path)
    let (first, second) = (registrar(up), registrar(down))
    first.report(.up)
    second.report(.down)
    try await eventually("one stays, one goes") { first.state.isSettled && text(down) == nil }
    #expect(text(up) == "{}")
    #expect(fileNumber(up.path) == inode)
    await first.close()
  }

  @Test func filesOfEarlierRunsAreRemovedAndNothingElse() async throws {
    try Files.makeDirectory(root, mode: 0o755)
    let kept = target("kept")
    let registrar = registrar(kept)
    registrar.report(.up)
    try await eventually("registered") { registrar.state.isSettled }
    let stale = ["old@host1.json", ".old@host1.json.1a2b~"]
    let foreign = ["old@host2.json", "old@xhost1.json", "notes.txt", ".x~"]
    for name in stale + foreign { writeFile("\(root)/\(name)", "{}") }
    // What cannot be removed holds up nothing else.
    try Files.makeDirectory("\(root)/a@host1.json", mode: 0o755)
    await registry.dropLeftovers(of: "host1", in: [root, root + "/missing"])
    #expect(try Files.list(root) == (foreign + ["a@host1.json", "kept@host1.json"]).sorted())
    await registrar.close()
  }

  @Test func aSuccessorOfTheSameFileLeavesNoGap() async throws {
    let (old, new) = (registrar(target(data: "old")), registrar(target(data: "new")))
    old.report(.up)
    try await eventually("the old one is there") { old.state.isSettled }
    new.report(.up)
    try await eventually("the new one is there") { new.state.isSettled }
    #expect(text(target()) == "new")
    await old.close()
    #expect(text(target()) == "new")
    await new.close()
    #expect(text(target()) == nil)
  }

  @Test func aRefusalNamesItsReasonAndIsTriedAgain() async throws {
    // A file where the directory should be.
    writeFile(directory.path + "/registrations", "")
    let target = target()
    let registrar = registrar(target)
    registrar.report(.up)
    try await eventually("refused") { if case .failed = registrar.state { true } else { false } }
    guard case .failed(.up, let reason) = registrar.state else { return }
    #expect(reason.contains(directory.path + "/registrations"))
    #expect(!registrar.isReachable)
    #expect(events.refusals == 1)
    try Files.remove(directory.path + "/registrations")
    try await eventually("registered after all") { registrar.state == .settled(.up, place: target.path) }
    #expect(registrar.isReachable)
    await registrar.close()
  }

  @Test func aRenewedFileComesBackWhenSomebodyRemovesIt() async throws {
    let target = target(renewal: .milliseconds(20))
    let registrar = registrar(target)
    registrar.report(.up)
    try await eventually("registered") { registrar.state.isSettled }
    try Files.remove(target.path)
    try await eventually("written again") { text(target) != nil }
    await registrar.close()
    #expect(text(target) == nil)
  }

  private func fileNumber(_ path: String) -> UInt64? {
    var status = stat()
    return stat(path, &status) == 0 ? UInt64(status.st_ino) : nil
  }
}

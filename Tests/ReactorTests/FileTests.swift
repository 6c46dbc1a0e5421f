import Reactor
import TestSupport
import Testing

@Suite struct FileTests {
  @Test func replacesAFileAsAWhole() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/file"
    try AtomicFile.write(Array("one".utf8), to: path, mode: 0o640, sync: true)
    try AtomicFile.write(Array("two".utf8), to: path, mode: 0o600, sync: false)
    #expect(try Files.read(path, limit: 100) == Array("two".utf8))
    #expect(try Files.list(directory.path) == ["file"])
    #expect(throws: FileError.self) { try Files.read(path, limit: 2) }
    #expect(try Files.read(path, limit: 3).count == 3)
  }
}

@Suite struct FileWatchTests {
  @Test @LoopActor func namesWhatChangesInADirectory() async throws {
    let directory = TemporaryDirectory()
    var seen: Set<String> = []
    let watch = try FileWatch(path: directory.path) { names in seen.formUnion(names ?? ["*"]) }
    try AtomicFile.write([], to: directory.path + "/a", mode: 0o644, sync: false)
    try await eventually("a is named") { seen.contains("a") }
    seen = []
    try Files.remove(directory.path + "/a")
    try await eventually("a is named again") { seen == ["a"] }
    watch.cancel()
  }
}

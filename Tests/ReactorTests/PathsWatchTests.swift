import Glibc
import TestSupport
import Testing

@testable import Reactor

@Suite struct PathsWatchTests {
  /// Every directory on the way counts for the next name of the way, through links; a loop of links ends.
  @Test func theWatchedDirectoriesAreThoseOnTheWayToAPath() throws {
    let directory = TemporaryDirectory()
    let root = directory.path
    try directory.write("", to: "a/file")
    #expect(symlink("a", root + "/link") == 0 && symlink(root + "/loop2", root + "/loop") == 0)
    #expect(symlink("loop", root + "/loop2") == 0 && symlink("../a/./file", root + "/a/up") == 0)
    let found = PathResolver.directories(of: [root + "/link/file", root + "/gone/x", root + "/loop/y", root + "/a/up"])
    #expect(found["/"] == .some(["tmp"]))
    #expect(found[root] == .some(["link", "a", "gone", "loop", "loop2"]))
    #expect(found[root + "/a"] == .some(["file", "up"]))
    #expect(PathResolver.directories(of: [root + "/link", root + "/a/file"])[root + "/a"] == .some(nil))
  }

  @Test @LoopActor func onlyWhatLeadsToAPathCounts() async throws {
    let directory = TemporaryDirectory()
    let root = directory.path
    try directory.write("1", to: "d/wanted")
    var changes = 0
    let watch = try PathsWatch { changes += 1 }
    #expect(try await watch.watch([root + "/d/wanted", root + "/late/file"]))
    #expect(try await !watch.watch([root + "/d/wanted", root + "/late/file"]))
    try directory.write("1", to: "d/other")
    // Another name of a directory that was watched: what happened to it was not seen.
    #expect(try await watch.watch([root + "/d/wanted", root + "/d/third", root + "/late/file"]))
    #expect(try await !watch.watch([root + "/d/wanted", root + "/late/file"]))
    try directory.write("2", to: "d/wanted")
    try await eventually("the file") { changes == 1 }
    try Files.makeDirectory(root + "/late", mode: 0o755)
    try await eventually("the directory") { changes == 2 }
    #expect(try await watch.watch([root + "/d/wanted", root + "/late/file"]))
    try directory.write("", to: "late/file")
    try await eventually("the late file") { changes == 3 }
    #expect(try await !watch.watch([root + "/late/file"]))
    try directory.write("3", to: "d/wanted")
    try directory.write("", to: "late/file")
    try await eventually("what is still watched") { changes == 4 }
    watch.cancel()
    #expect(try await !watch.watch([root + "/d/wanted"]))
  }
}

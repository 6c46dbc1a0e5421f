import Glibc
import Reactor
import TestSupport
import Testing

@Suite struct FileTests {
  private let directory = TemporaryDirectory()

  @Test func aFileIsReplacedAsAWhole() throws {
    let path = directory.path + "/file"
    try Files.write(Array("one".utf8), to: path, mode: 0o666, sync: true)
    try Files.write(Array("two".utf8), to: path, mode: 0o604, sync: false)
    #expect(try Files.read(path, limit: 100) == Array("two".utf8))
    #expect(try Files.list(directory.path) == ["file"])
    var status = stat()
    #expect(stat(path, &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o604)
    #expect(throws: FileError.self) { try Files.read(path, limit: 2) }
    #expect(try Files.read(path, limit: 3).count == 3)
  }

  @Test func aReplacedFileKeepsOwnerGroupAndModeAndItsLinks() throws {
    let (folder, link, other) = (directory.path + "/folder", directory.path + "/link", directory.path + "/other")
    try Files.makeDirectory(folder, mode: 0o755)
    try Files.write(Array("old".utf8), to: folder + "/file", mode: 0o640, sync: false)
    let hasRoot = geteuid() == 0
    if hasRoot { #expect(chown(folder + "/file", 1234, 4321) == 0) }
    #expect(symlink("folder/file", link) == 0)
    // The second one on another file system, where there is one.
    for place in [other, "/dev/shm/\(Files.name(of: directory.path))"] {
      try Files.write(Array(place.utf8), to: place, mode: 0o600, sync: false)
      try Files.replace(link, by: place, holding: Array(place.utf8))
      #expect(!Files.exists(place))
      #expect(try Files.read(folder + "/file", limit: 1000) == Array(place.utf8))
      var status = stat()
      #expect(lstat(link, &status) == 0 && status.st_mode & S_IFMT == S_IFLNK)
      #expect(stat(link, &status) == 0 && status.st_mode & 0o7777 == 0o640)
      if hasRoot { #expect(status.st_uid == 1234 && status.st_gid == 4321) }
      #expect(try Files.list(folder) == ["file"])
    }
    // By itself.
    try Files.replace(folder + "/file", by: link, holding: [])
    #expect(try Files.list(folder) == ["file"])
    // A link that leads nowhere yet.
    #expect(symlink("folder/new", link + "2") == 0)
    try Files.write(Array("new".utf8), to: other, mode: 0o604, sync: false)
    try Files.replace(link + "2", by: other, holding: Array("new".utf8))
    #expect(try Files.read(folder + "/new", limit: 100) == Array("new".utf8))
    #expect(Files.mode(of: folder + "/new") == 0o604)
  }

  @Test(.enabled(if: geteuid() == 0)) func aMountedFileIsWrittenInPlace() async throws {
    let (path, other) = (directory.path + "/file", directory.path + "/other")
    try Files.write(Array("a long text".utf8), to: path, mode: 0o640, sync: false)
    let mount = try await ChildProcess.run("/bin/mount", arguments: ["--bind", path, path], deadline: .seconds(10))
    // Not every sandbox lets root mount.
    guard mount.status == .exited(0) else { return }
    let inode = FileState(path: path)
    try Files.write(Array("short".utf8), to: other, mode: 0o640, sync: false)
    try Files.replace(path, by: other, holding: Array("short".utf8))
    #expect(try Files.read(path, limit: 100) == Array("short".utf8))
    #expect(FileState(path: path) != inode && !Files.exists(other))
    _ = try await ChildProcess.run("/bin/umount", arguments: [path], deadline: .seconds(10))
    #expect(try Files.read(path, limit: 100) == Array("short".utf8))
  }

  @Test func aFailedWriteLeavesNoFileBehind() throws {
    let path = directory.path + "/directory"
    try Files.makeDirectory(path, mode: 0o755)
    #expect(throws: FileError.self) { try Files.write([], to: path, mode: 0o644, sync: false) }
    #expect(try Files.list(directory.path) == ["directory"])
    #expect(throws: FileError("make a file in", path: "/no/such", code: ENOENT)) {
      try Files.write([], to: "/no/such/file", mode: 0o644, sync: false)
    }
  }

  @Test func aFileThatIsChangedBeforeItsRemovalStays() throws {
    let path = directory.path + "/file"
    func write(_ text: String) throws { try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false) }
    func remove(_ isOver: ([UInt8]) -> Bool) throws { try Files.remove(path, limit: 100, if: isOver) }
    // What is there by the time of the removal counts, not what was there when somebody looked.
    try write("new")
    try remove { $0 == Array("old".utf8) }
    #expect(try Files.read(path, limit: 100) == Array("new".utf8))
    // A file that comes during the look stays, whatever becomes of the one that was looked at.
    for isOver in [true, false] {
      try remove { _ in
        #expect(throws: Never.self) { try write("newer") }
        return isOver
      }
      #expect(try Files.read(path, limit: 100) == Array("newer".utf8))
    }
    try write(String(repeating: "x", count: 101))
    try remove { _ in true }
    #expect(try Files.list(directory.path) == ["file"])
    try write("old")
    try remove { $0 == Array("old".utf8) }
    try remove { _ in true }
    #expect(try Files.list(directory.path) == [])
  }

  @Test func namesOfAnyLengthCanBeWritten() throws {
    let path = directory.path + "/" + String(repeating: "n", count: 255)
    try Files.write(Array("x".utf8), to: path, mode: 0o644, sync: false)
    #expect(Files.isFile(path))
  }

  @Test func kindsOfFilesAndMissingOnesAreTold() throws {
    let path = directory.path + "/a/b/c"
    try Files.makeDirectory(path, mode: 0o755)
    try Files.makeDirectory(path, mode: 0o755)
    try Files.touch(path + "/file", mode: 0o644)
    #expect(Files.isDirectory(path))
    #expect(Files.isFile(path + "/file"))
    #expect(Files.exists("/dev/null") && !Files.isFile("/dev/null") && !Files.isDirectory("/dev/null"))
    #expect(!Files.exists(path + "/none"))
    #expect(Files.modificationTime(path + "/none") == nil)
    #expect(try #require(Files.modificationTime(path + "/file")) > 1_600_000_000)
    #expect(throws: FileError.self) { try Files.makeDirectory(path + "/file/below", mode: 0o755) }
    #expect(throws: FileError.self) { try Files.list(path + "/none") }
    #expect(try Files.remove(path + "/file"))
    #expect(try !Files.remove(path + "/file"))
    do {
      _ = try Files.read(path + "/none", limit: 1)
    } catch {
      #expect(error.isMissing)
      #expect(error.description == "cannot open \(path)/none: No such file or directory")
    }
  }

  @Test func aPipeInAFilesPlaceHoldsNobodyUp() throws {
    #expect(mkfifo(directory.path + "/fifo", 0o600) == 0)
    #expect(try Files.read(directory.path + "/fifo", limit: 10) == [])
  }

  @Test(
    "parents and names",
    arguments: [
      ("/a/b", "/a", "b"), ("/a", "/", "a"), ("a", ".", "a"), ("a/b/", "a", "b"), ("/", "/", ""), ("/a//", "/", "a"),
    ])
  func aPathHasAParentAndAName(path: String, parent: String, name: String) {
    #expect(Files.parent(of: path) == parent)
    #expect(Files.name(of: path) == name)
  }

  @Test func processStatisticsArePlausible() {
    let statistics = ProcessStatistics.current()
    #expect(statistics.residentBytes > 1 << 20)
    #expect(statistics.cpuSeconds > 0)
    #expect(statistics.openDescriptors > 2)
    #expect(statistics.threads > 1)
  }
}

@Suite(.timeLimit(.minutes(2 * patience))) struct FileWatchTests {
  /// What a watch has said: names, and `*` for "anything".
  @LoopActor private final class Seen {
    var names: Set<String> = []
    private var watch: FileWatch?

    init(_ path: String) throws {
      watch = try FileWatch(path: path) { [unowned self] in names.formUnion($0 ?? ["*"]) }
    }

    /// Waits for `name`, then forgets everything.
    func take(_ name: String) async throws {
      try await eventually("\(name) is named") { self.names.contains(name) }
      names = []
    }

    func cancel() { watch?.cancel() }
  }

  private let directory = TemporaryDirectory()

  private func write(_ text: String, _ path: String) throws {
    try Files.write(Array(text.utf8), to: path, mode: 0o644, sync: false)
  }

  @Test @LoopActor func aWatchNamesWhatChangesInItsDirectory() async throws {
    let seen = try Seen(directory.path)
    try write("one", directory.path + "/a")
    try await seen.take("a")
    let file = try #require(fopen(directory.path + "/a", "a"))
    fputs("more", file)
    fclose(file)
    try await seen.take("a")
    rename(directory.path + "/a", directory.path + "/b")
    try await eventually("both names") { seen.names == ["a", "b"] }
    seen.names = []
    try Files.remove(directory.path + "/b")
    try await seen.take("b")
    try Files.touch(directory.path + "/c", mode: 0o644)
    try await seen.take("c")
    seen.cancel()
    let other = try Seen(directory.path)
    try write("one", directory.path + "/d")
    try await other.take("d")
    #expect(seen.names == [])
  }

  @Test @LoopActor func aDirectoryMayBeReplacedAndMadeAgain() async throws {
    let path = directory.path + "/watched"
    try Files.makeDirectory(path, mode: 0o755)
    let seen = try Seen(path)
    try Files.makeDirectory(path + ".new", mode: 0o755)
    #expect(rename(path, path + ".old") == 0)
    try await seen.take("*")
    #expect(rename(path + ".new", path) == 0)
    try await seen.take("*")
    try write("x", path + "/a")
    try await seen.take("a")
    // Exchanged without ever being missing.
    #expect(rename(path + ".old", directory.path + "/third") == 0)
    try Files.remove(path + "/a")
    try await seen.take("a")
    #expect(rename(directory.path + "/third", path) == 0)
    try await seen.take("*")
    try write("x", path + "/b")
    try await seen.take("b")
    try Files.remove(path + "/b")
    #expect(rmdir(path) == 0)
    try await seen.take("*")
    try Files.makeDirectory(path, mode: 0o755)
    try await seen.take("*")
    try write("x", path + "/c")
    try await seen.take("c")
  }

  @Test @LoopActor func aFileMayBeReplacedAndMissing() async throws {
    let path = directory.path + "/file"
    let seen = try Seen(path)
    try write("one", path)
    try await seen.take("file")
    try write("two", path)
    try await seen.take("file")
    let file = try #require(fopen(path, "w"))
    fputs("in place", file)
    fclose(file)
    try await seen.take("file")
    try Files.remove(path)
    try await seen.take("file")
    try write("other", directory.path + "/other")
    try write("again", path)
    try await seen.take("file")
    #expect(!seen.names.contains("other"))
  }

  @Test @LoopActor func aWatchFollowsALink() async throws {
    let (target, link) = (directory.path + "/target", directory.path + "/link")
    try Files.makeDirectory(directory.path + "/elsewhere", mode: 0o755)
    let real = directory.path + "/elsewhere/real"
    try write("one", real)
    #expect(symlink(real, link) == 0)
    let seen = try Seen(link)
    let file = try #require(fopen(real, "w"))
    fputs("in place", file)
    fclose(file)
    try await seen.take("link")
    try write("two", target)
    #expect(symlink(target, link + ".new") == 0)
    #expect(rename(link + ".new", link) == 0)
    try await seen.take("link")
  }

  @Test @LoopActor func theParentMayGoAndComeBack() async throws {
    let parent = directory.path + "/parent"
    try Files.makeDirectory(parent, mode: 0o755)
    let seen = try Seen(parent + "/file")
    #expect(rename(parent, parent + ".gone") == 0)
    try await eventually("the loss is noticed") { !seen.names.isEmpty }
    seen.names = []
    try Files.makeDirectory(parent, mode: 0o755)
    try write("x", parent + "/file")
    try await eventually("the file is back") { !seen.names.isEmpty }
    seen.names = []
    try write("y", parent + "/file")
    try await seen.take("file")
  }

  @Test @LoopActor func aPathThatCannotExistIsAnError() {
    #expect(throws: FileError.self) { try FileWatch(path: "/no/such/directory/file") { _ in } }
  }
}

import Glibc
import Reactor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2 * patience))) struct ChildProcessTests {
  @LoopActor private func shell(
    _ script: String, deadline: Duration = .seconds(60), outputLimit: Int = 64 << 10, input: String = ""
  ) async throws -> ChildResult {
    try await ChildProcess.run(
      "sh", arguments: ["-c", script], input: Array(input.utf8), deadline: deadline, outputLimit: outputLimit)
  }

  @Test @LoopActor func outputAndStatusAreCaptured() async throws {
    let result = try await shell("cat; echo err >&2; exit 3", input: "hello")
    #expect(result.status == .exited(3))
    #expect(result.output == Array("hello".utf8))
    #expect(result.errorOutput == Array("err\n".utf8))
    #expect(!result.isTruncated)
  }

  @Test @LoopActor func aMissingProgramIsAnErrorWithItsName() async throws {
    await #expect(throws: FileError("run", path: "/no/such/program", code: ENOENT)) {
      try await ChildProcess.run("/no/such/program", arguments: [], deadline: .seconds(20))
    }
    await #expect(throws: FileError.self) {
      try await ChildProcess.run("true", arguments: [], workingDirectory: "/no/such/directory", deadline: .seconds(20))
    }
  }

  @Test @LoopActor func argumentsEnvironmentAndDirectoryReachTheChild() async throws {
    let script = "printf '%s|' \"$0\" \"$@\" \"$WORD\" \"$HOME\" \"$(pwd)\""
    let result = try await ChildProcess.run(
      "/bin/sh", arguments: ["-c", script, "a b", "", "*"], environment: ["WORD": "x y"], workingDirectory: "/usr",
      deadline: .seconds(60))
    #expect(String(decoding: result.output, as: UTF8.self) == "a b||*|x y||/usr|")
  }

  @Test @LoopActor func aChildInheritsThreeDescriptorsOnly() async throws {
    // Not close-on-exec, like the sockets of a library that does not think of children.
    let leaked = dup(1)
    defer { close(leaked) }
    let result = try await ChildProcess.run("ls", arguments: ["/proc/self/fd"], deadline: .seconds(60))
    // The fourth is the directory that ls reads.
    #expect(String(decoding: result.output, as: UTF8.self) == "0\n1\n2\n3\n")
  }

  @Test @LoopActor func aChildHasDefaultSignalsAndItsOwnGroup() async throws {
    let result = try await shell("grep -E '^Sig(Ign|Blk)' /proc/self/status; cut -d' ' -f5 /proc/$$/stat; echo $$")
    let words = String(decoding: result.output, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    #expect(words.count == 6)
    #expect(words[1] == "0000000000000000")
    // Signals 32 and 33 are the C library's own; it leaves them ignored.
    #expect(words[3].hasSuffix("80000000") || words[3].hasSuffix("00000000"))
    #expect(words[4] == words[5])
  }

  @Test @LoopActor func outputIsCutAtItsLimit() async throws {
    let result = try await shell("head -c 1000000 /dev/zero; echo done >&2", outputLimit: 1000)
    #expect(result.status == .exited(0))
    #expect(result.output.count == 1000)
    #expect(result.isTruncated)
    #expect(result.errorOutput == Array("done\n".utf8))
  }

  @Test @LoopActor func aMegabyteOfInputComesBack() async throws {
    let input = String(repeating: "0123456789", count: 100_000)
    let result = try await shell("cat", outputLimit: 2 << 20, input: input)
    #expect(result.output == Array(input.utf8))
  }

  @Test @LoopActor func aChildNeedNotReadItsInput() async throws {
    let result = try await shell("exec 0<&-; exit 4", input: String(repeating: "x", count: 1 << 20))
    #expect(result.status == .exited(4))
  }

  @Test @LoopActor func theDeadlineEndsTheWholeGroup() async throws {
    let result = try await shell("sleep 1000 & echo $!; wait", deadline: .milliseconds(300))
    #expect(result.status == .timedOut)
    let pid = try #require(Int32(String(decoding: result.output, as: UTF8.self).dropLast()))
    try await eventually("the grandchild is gone") { isGone(pid) }
  }

  @Test @LoopActor func aChildThatIgnoresTERMIsKilled() async throws {
    let result = try await shell("trap '' TERM; echo ready; while :; do sleep 1; done", deadline: .milliseconds(300))
    #expect(result.status == .timedOut)
  }

  @Test @LoopActor func aSignalOfSomebodyElseIsNoTimeout() async throws {
    let result = try await shell("kill -9 $$")
    #expect(result.status == .signalled(SIGKILL))
  }

  @Test @LoopActor func cancellationEndsTheChild() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/pid"
    let task = Task { @LoopActor in try await shell("echo $$ > \(path).new; mv \(path).new \(path); exec sleep 1000") }
    try await eventually("the child is up") { Files.exists(path) }
    let pid = try #require(Int32(String(decoding: try Files.read(path, limit: 20), as: UTF8.self).dropLast()))
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    try await eventually("the child is gone") { isGone(pid) }
  }

  /// A reload command leaves the new proxy behind, with the pipe still open in it.
  @Test @LoopActor func aDescendantThatStaysDoesNotHoldTheResultUp() async throws {
    let result = try await shell("sleep 1000 & echo $!; echo started")
    let lines = String(decoding: result.output, as: UTF8.self).split(separator: "\n")
    #expect(result.status == .exited(0))
    #expect(lines.last == "started")
    let pid = try #require(Int32(lines.first ?? ""))
    #expect(kill(pid, SIGKILL) == 0)
  }

  /// A library that waits for children of its own must find them.
  @Test @LoopActor func descendantsThatWriteForEverDoNotHoldTheLoopUp() async throws {
    let result = try await shell("yes & yes & yes & yes & exit 3")
    #expect(result.status == .exited(3))
  }

  @Test @LoopActor func onlyOwnChildrenAreReaped() async throws {
    var pid: pid_t = 0
    var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
    defer { free(arguments[0]) }
    try #require(posix_spawnp(&pid, "true", nil, nil, &arguments, environ) == 0)
    _ = try await shell("sleep 0.05")
    var status: Int32 = 0
    #expect(waitpid(pid, &status, 0) == pid)
  }

  @Test @LoopActor func aLongLivedChildIsEndedBySignals() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/log"
    let child = try ChildProcess.start(
      "sh", arguments: ["-c", "echo one; echo two >&2; printf three; exec sleep 1000"],
      log: path)
    try await eventually("its output") { (try? Files.read(path, limit: 100)) == Array("one\ntwo\nthree".utf8) }
    #expect(child.status == nil)
    child.terminate()
    #expect(try await child.wait() == .signalled(SIGTERM))
    #expect(try await child.wait() == .signalled(SIGTERM))
    #expect(child.status == .signalled(SIGTERM))
    child.kill()
  }

  @Test @LoopActor func outputIsAppendedToAFile() async throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/log"
    for word in ["one", "two"] {
      let child = try ChildProcess.start(
        "sh", arguments: ["-c", "echo \(word); echo err >&2"], log: path)
      #expect(try await child.wait() == .exited(0))
    }
    #expect(try Files.read(path, limit: 100) == Array("one\nerr\ntwo\nerr\n".utf8))
  }

  @Test @LoopActor func manyChildrenAtOnceAllGiveTheirOutput() async throws {
    try await withThrowingTaskGroup(of: ChildResult.self) { group in
      for index in 0..<40 { group.addTask { try await shell("echo \(index); exit \(index)") } }
      for try await result in group {
        guard case .exited(let code) = result.status else { throw FileError("run", path: "sh", reason: "\(result)") }
        #expect(result.output == Array("\(code)\n".utf8))
      }
    }
  }

  /// Whether the process has ended, reaped by its new parent or not yet.
  private func isGone(_ pid: Int32) -> Bool {
    guard let bytes = try? Files.read("/proc/\(pid)/stat", limit: 4096) else { return true }
    return String(decoding: bytes, as: UTF8.self).contains(") Z ")
  }
}

import Reactor
import TestSupport
import Testing

@testable import SynapseAgent

@Suite @LoopActor struct FileCheckerTests {
  @Test func haproxyIsLookedForInThePath() throws {
    let directory = TemporaryDirectory()
    let program = directory.path + "/haproxy"
    try Files.write(Array("#!/bin/sh\n".utf8), to: program, mode: 0o644, sync: false)
    #expect(FileChecker.installedHAProxy(path: "relative:\(directory.path)") != program, "it cannot be executed")
    try Files.write(Array("#!/bin/sh\n".utf8), to: program, mode: 0o755, sync: false)
    #expect(FileChecker.installedHAProxy(path: "relative:\(directory.path)") == program)
  }

  @Test func aCommandThatNamesTheAgentsCandidateChecksAnother() async throws {
    let directory = TemporaryDirectory()
    let other = directory.path + "/other"
    try Files.write(Array("global\n".utf8), to: other, mode: 0o644, sync: false)
    let checker = FileChecker(.command("grep -q global /nowhere/cfg.tmp"), insteadOf: "/nowhere/cfg.tmp")
    guard case .accepted = await checker.verdict(on: other) else {
      return #expect(Bool(false), "the other file is good")
    }
  }
}

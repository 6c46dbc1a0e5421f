import Reactor
import TestSupport
import Testing

@Suite struct ChildProcessTests {
  @Test @LoopActor func capturesOutputAndStatus() async throws {
    let result = try await ChildProcess.run(
      "sh", ["-c", "cat; echo err >&2; exit 3"], input: Array("hello".utf8), deadline: .seconds(20))
    #expect(result.status == .exited(3))
    #expect(result.output == Array("hello".utf8))
    #expect(result.errorOutput == Array("err\n".utf8))
    #expect(!result.isTruncated)
  }

  @Test @LoopActor func saysWhenThereIsNoSuchProgram() async throws {
    await #expect(throws: FileError.self) {
      try await ChildProcess.run("/no/such/program", [], deadline: .seconds(20))
    }
  }
}

import Reactor
import Testing

@testable import HAProxyRuntime

@Suite("the master's command line") struct MasterSocketTests {
  private static let head = "#<PID>          <type>          <reloads>       <uptime>        <version>\n"

  @Test func showProcTellsTheProcesses() throws {
    let text =
      MasterSocketTests.head
        + """
        14607           master          2 [failed: 1]   0d00h00m06s     2.6.12-1+deb12u4
        # workers
        14698           worker          1               0d00h00m02s     2.6.12-1+deb12u4
        # old workers
        14612           worker          2               0d00h00m09s     2.6.12-1+deb12u4
        14600           worker          3               0d00h00m19s     2.6.12-1+deb12u4
        # programs

        """
    let processes = try MasterSocket.parse(text)
    #expect(processes.current == [14698])
    #expect(processes.old == [14612, 14600])
    #expect(processes.failedReloads == 1)
  }

  @Test func showProcOfOlderReleasesIsRead() throws {
    let text = "# <PID> <type> <relative PID> <reloads> <uptime>\n12 master 0 0 0d 2.0\n# workers\n13 worker 1 0 0d\n"
    let processes = try MasterSocket.parse(text)
    #expect(processes.current == [13] && processes.old.isEmpty && processes.failedReloads == 0)
  }

  @Test @LoopActor func aMasterThatIsNotThereIsNamedAsOne() async throws {
    let path = "/nonexistent/master.sock"
    await #expect {
      _ = try await MasterSocket(path: path).processes(within: .seconds(10))
    } throws: { error in
      "\(error)" == "cannot reach HAProxy's master at \(path): No such file or directory; "
        + "does HAProxy run, as `haproxy -W -S \(path)`?"
    }
  }

  @Test func anAnswerWithoutAMasterIsAnError() {
    #expect(throws: HAProxyRuntimeError.self) { try MasterSocket.parse("Unknown command: 'show proc'") }
  }
}

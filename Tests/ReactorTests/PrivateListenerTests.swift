import Reactor
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(2))) @LoopActor struct PrivateListenerTests {
  @Test func onlyThisProcessIsLetIn() async throws {
    var (mine, strangers): ([ByteStream], [String]) = ([], [])
    let listener = try PrivateListener {
      mine.append($0)
    } onStranger: {
      strangers.append($0)
    }
    let parts = listener.address.split(separator: ":")
    let (host, port) = (String(parts[0]), try #require(Int(parts[1])))
    let near = try await ByteStream.connect(to: .tcp(host: host, port: port), deadline: .seconds(60))
    try await eventually("it is let in") { mine.count == 1 }
    try near.write("ping")
    #expect(try await mine[0].read(exactly: 4) == Array("ping".utf8))
    // Another program reads the end of the connection, and nothing else.
    let other = try await ChildProcess.run(
      "bash", arguments: ["-c", "exec 3<>/dev/tcp/\(host)/\(port) && cat <&3"], deadline: .seconds(60))
    #expect(other.output.isEmpty)
    #expect(strangers.count == 1 && mine.count == 1)
    let second = try PrivateListener { _ in
    } onStranger: { _ in
    }
    #expect(second.address.split(separator: ":")[0] != parts[0])
    listener.close()
    await #expect(throws: StreamError.self) {
      try await ByteStream.connect(to: .tcp(host: host, port: port), deadline: .seconds(60))
    }
    near.close()
  }
}

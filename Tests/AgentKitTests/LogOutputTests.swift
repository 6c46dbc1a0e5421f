import Glibc
import Reactor
import TestSupport
import Testing

@testable import AgentKit

@Suite struct LogOutputTests {
  /// Both ends of a pipe or of a socket pair.
  private final class Channel: Sendable {
    let reading: Int32
    let writing: Int32

    init(isSocket: Bool) {
      var ends: [Int32] = [-1, -1]
      if isSocket {
        precondition(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
      } else {
        precondition(pipe(&ends) == 0)
      }
      (reading, writing) = (ends[0], ends[1])
    }

    /// What there is now; never waits.
    func drain() -> String {
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 1 << 20)
      var request = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
      while poll(&request, 1, 0) > 0 {
        let count = read(reading, &buffer, buffer.count)
        if count <= 0 { break }
        bytes += buffer[..<count]
      }
      return String(decoding: bytes, as: UTF8.self)
    }

    deinit {
      close(reading)
      close(writing)
    }
  }

  private func notice(_ count: Int) -> [UInt8] { Array("\(count) lost\n".utf8) }

  @Test("a reader that stalls costs lines, not time", arguments: [false, true])
  func aReaderThatStallsCostsLinesNotTime(isSocket: Bool) {
    let channel = Channel(isSocket: isSocket)
    let output = LogOutput(descriptor: channel.writing)
    // A write that waited would never return.
    let line = Array((String(repeating: "x", count: 999) + "\n").utf8)
    for _ in 0..<2000 { output.write(line, notice: notice) }
    let lost = output.droppedCount
    #expect(lost > 0 && lost < 2000)
    let kept = channel.drain()
    output.write(Array("after\n".utf8), notice: notice)
    #expect(channel.drain() == "\(lost) lost\nafter\n")
    #expect(output.droppedCount == 0)
    // What a socket takes of the last line may be a part of it.
    #expect(kept.split(separator: "\n").count >= 2000 - lost)
    #expect(fcntl(channel.writing, F_GETFL) & O_NONBLOCK == 0)
  }

  @Test func aReaderThatIsGoneEndsNothing() {
    let channel = Channel(isSocket: false)
    _ = EventLoop.shared
    let descriptor = dup(channel.writing)
    let output = LogOutput(descriptor: descriptor)
    close(channel.reading)
    output.write(Array("x\n".utf8), notice: notice)
    #expect(output.droppedCount == 1)
    close(descriptor)
  }

  @Test func longLinesAreCutAtACharacter() {
    let channel = Channel(isSocket: false)
    let output = LogOutput(descriptor: channel.writing)
    for shift in 0..<4 {
      output.write(Array((String(repeating: "a", count: shift) + String(repeating: "é", count: 4000) + "\n").utf8)) {
        _ in
        []
      }
      let text = channel.drain()
      #expect(text.utf8.count <= LogOutput.longestLine && text.utf8.count > LogOutput.longestLine - 8)
      #expect(text.hasSuffix("é…\n") && !text.contains("\u{fffd}"))
    }
  }

  @Test func theLostAreToldInBothFormats() {
    let text = String(decoding: LineLogHandler.dropped(7, agent: "nerve", format: .text), as: UTF8.self)
    #expect(text.hasSuffix(" warning nerve: log lines were dropped: the reader did not keep up count=7\n"))
    let json = String(decoding: LineLogHandler.dropped(7, agent: "nerve", format: .json), as: UTF8.self)
    #expect(json.contains(#""level":"warning","agent":"nerve""#) && json.hasSuffix(",\"count\":\"7\"}\n"))
  }

  @Test func filesTakeEverything() throws {
    let directory = TemporaryDirectory()
    let descriptor = open("\(directory.path)/log", O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    let output = LogOutput(descriptor: descriptor)
    for number in 0..<100 { output.write(Array("\(number)\n".utf8), notice: notice) }
    let written = try Files.read("\(directory.path)/log", limit: 1 << 20)
    #expect(String(decoding: written, as: UTF8.self) == (0..<100).map { "\($0)\n" }.joined())
  }
}

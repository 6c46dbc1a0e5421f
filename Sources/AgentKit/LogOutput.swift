internal import Glibc
internal import Reactor

/// Writes log lines to a descriptor without ever waiting for its reader.
///
/// The descriptor is shared with whoever started the agent, so it must not be made non-blocking: that would be theirs,
/// too. Instead it is asked before each write whether there is room. Lines for which there is none are dropped and
/// counted.
final class LogOutput: Sendable {
  private let descriptor: Int32
  private let dropped = Locked(0)

  /// What poll(2) promises of a pipe that can be written: as many bytes are taken at once, and are not mixed with others'
  /// (PIPE_BUF). Longer lines are cut.
  static let longestLine = 4096
  private static let cutMark = Array("…\n".utf8)

  init(descriptor: Int32) { self.descriptor = descriptor }

  /// Lines lost that no line has told of yet.
  var droppedCount: Int { dropped.withLock { $0 } }

  /// Writes one line.
  /// - Parameter notice: makes the line that says how many were lost; it goes first when there is room again.
  func write(_ line: [UInt8], notice: (Int) -> [UInt8]) {
    // One at a time: what poll found free must still be free.
    dropped.withLock { count in
      if count > 0, send(notice(count)) { count = 0 }
      if count > 0 || !send(line) { count += 1 }
    }
  }

  private func send(_ line: [UInt8]) -> Bool {
    let line = LogOutput.cut(line)
    while true {
      var request = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
      let ready = poll(&request, 1, 0)
      if ready < 0, errno == EINTR { continue }
      // A pipe without a reader is "ready", too: the write then fails at once, and SIGPIPE is ignored.
      guard ready > 0 else { return false }
      // A stream socket may be ready for less than the line; it is asked not to wait.
      var count = line.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
      }
      if count < 0, errno == ENOTSOCK {
        count = line.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      }
      if count < 0, errno == EINTR { continue }
      return count >= 0
    }
  }

  private static func cut(_ line: [UInt8]) -> [UInt8] {
    guard line.count > longestLine else { return line }
    var end = longestLine - cutMark.count
    // Not within a character.
    while end > 0, line[end] & 0xc0 == 0x80 { end -= 1 }
    return Array(line[..<end]) + cutMark
  }
}

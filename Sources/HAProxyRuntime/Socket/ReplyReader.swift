/// Cuts what HAProxy sends in prompt mode into answers: each ends with a line that starts with `> `.
struct ReplyReader {
  /// Answers longer than this are taken for a mistake; 100,000 servers print 10 MB.
  private static let limit = 256 << 20
  private static let mark: [UInt8] = Array("\n> ".utf8)

  private let expected: Int
  private var pending: [UInt8] = []
  private var searched = 0
  private var received = 0
  /// The answers so far.
  private(set) var texts: [String] = []

  init(count: Int) { expected = count }

  var count: Int { texts.count }
  var isEmpty: Bool { texts.isEmpty }
  var isComplete: Bool { texts.count >= expected }

  /// Takes what arrived.
  /// - Parameter pending: the command that is being answered, for the error.
  mutating func append(_ bytes: [UInt8], pending command: () -> String) throws(HAProxyRuntimeError) {
    received += bytes.count
    if received > ReplyReader.limit {
      throw .malformed(command: command(), reason: "more than \(ReplyReader.limit) bytes")
    }
    pending += bytes
    var start = 0
    while !isComplete, let end = nextMark(from: max(start, searched)) {
      texts.append(String(decoding: pending[start..<end], as: UTF8.self))
      start = end + ReplyReader.mark.count
      searched = start
    }
    searched = max(start, pending.count - ReplyReader.mark.count + 1) - start
    if start > 0 { pending.removeFirst(start) }
  }

  private func nextMark(from start: Int) -> Int? {
    var index = start
    let last = pending.count - ReplyReader.mark.count
    while index <= last {
      if pending[index] == 10, pending[index + 1] == 62, pending[index + 2] == 32 { return index }
      index += 1
    }
    return nil
  }
}

internal import CEvent
internal import Glibc

/// Both ends of a pipe, close-on-exec, closed with the value unless closed before.
@LoopActor final class Pipe {
  private(set) var reading: Int32 = -1
  private(set) var writing: Int32 = -1

  init() throws(FileError) {
    var ends: [Int32] = [-1, -1]
    guard pipe2(&ends, O_CLOEXEC) == 0 else { throw FileError("make", path: "a pipe", code: errno) }
    // A process started without standard descriptors would get numbers that posix_spawn overwrites.
    reading = Pipe.above2(ends[0])
    writing = Pipe.above2(ends[1])
    guard reading >= 0, writing >= 0 else { throw FileError("make", path: "a pipe", code: errno) }
  }

  isolated deinit {
    closeReading()
    closeWriting()
  }

  func closeReading() {
    if reading >= 0 { close(reading) }
    reading = -1
  }

  func closeWriting() {
    if writing >= 0 { close(writing) }
    writing = -1
  }

  static func setNonBlocking(_ descriptor: Int32) {
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  }

  private static func above2(_ descriptor: Int32) -> Int32 {
    guard descriptor < 3 else { return descriptor }
    defer { close(descriptor) }
    return fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
  }
}

/// Reads a child's output as it comes and never stops reading: keeps a limit's worth of it and drops the rest. To be made
/// when the child has its own end.
@LoopActor final class PipeReader {
  private let pipe: Pipe
  private let limit: Int
  private var event: EventSource?
  private(set) var bytes: [UInt8] = []
  private(set) var isTruncated = false

  init(_ pipe: Pipe, keeping limit: Int) {
    self.pipe = pipe
    self.limit = limit
    pipe.closeWriting()
    Pipe.setNonBlocking(pipe.reading)
    event = EventSource(reading: pipe.reading) { [weak self] in _ = self?.readOnce() }
  }

  isolated deinit { event?.cancel() }

  /// What a pipe holds at most, unless somebody has made it larger.
  private static let capacity = 64 << 10

  /// Takes what the child has left and stops. A descendant may go on writing for ever.
  func drain() {
    var left = PipeReader.capacity
    while left > 0 {
      let count = readOnce()
      if count == 0 { break }
      left -= count
    }
    stop()
  }

  private func stop() {
    event?.cancel()
    event = nil
    pipe.closeReading()
  }

  /// - Returns: the number of bytes.
  private func readOnce() -> Int {
    guard let piece = pipe.readSome() else { return 0 }
    if piece.isEmpty {
      stop()
      return 0
    }
    let room = max(0, limit - bytes.count)
    bytes += piece.prefix(room)
    if piece.count > room { isTruncated = true }
    return piece.count
  }
}

/// Writes a child's input as fast as it reads, then closes.
@LoopActor final class PipeWriter {
  private let pipe: Pipe
  private var rest: ArraySlice<UInt8>
  private var event: EventSource?

  init(_ pipe: Pipe, writing bytes: [UInt8]) {
    self.pipe = pipe
    rest = bytes[...]
    pipe.closeReading()
    Pipe.setNonBlocking(pipe.writing)
    event = EventSource(writing: pipe.writing) { [weak self] in self?.writeOnce() }
  }

  isolated deinit { event?.cancel() }

  func close() {
    event?.cancel()
    event = nil
    pipe.closeWriting()
  }

  private func writeOnce() {
    let count = rest.withUnsafeBytes { write(pipe.writing, $0.baseAddress, $0.count) }
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    // A child that does not read its input is not an error.
    if count > 0 { rest = rest.dropFirst(count) }
    if count <= 0 || rest.isEmpty { close() }
  }
}

extension Pipe {
  /// nil when there is nothing now, empty at the end.
  fileprivate func readSome() -> [UInt8]? {
    guard reading >= 0 else { return nil }
    var isBlocked = false
    let piece = [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, count in
      let result = read(reading, buffer.baseAddress, buffer.count)
      isBlocked = result < 0 && (errno == EAGAIN || errno == EINTR)
      count = max(0, result)
    }
    return isBlocked ? nil : piece
  }
}

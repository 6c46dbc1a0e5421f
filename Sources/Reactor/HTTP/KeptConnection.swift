/// A place where an answer leaves its connection open, for the next request to the same server.
///
/// It holds one connection at most. A server that closes it, or says anything unasked, has ended it.
@LoopActor public final class KeptConnection {
  private var stream: ByteStream?

  /// Nothing is kept yet.
  public nonisolated init() {}

  /// Whether a connection is kept that can be used.
  public var isUsable: Bool { stream?.isIdle == true }

  /// The connection, for one request; nil: there is none that can be used.
  func take() -> ByteStream? {
    defer { stream = nil }
    return isUsable ? stream : nil
  }

  /// Keeps a connection in place of another one, without a deadline.
  func keep(_ stream: ByteStream) {
    stream.setDeadline(after: nil)
    self.stream = stream
  }
}

/// What a registration says of one server, and what of it had to be dropped.
public struct DecodedBackend: Equatable, Sendable {
  /// The server; every field of it is safe to write into HAProxy's file and socket.
  public let backend: Backend
  /// Fields that were unusable and skipped, one sentence each, for the log.
  public let ignored: [String]
}

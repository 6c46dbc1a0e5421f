/// What a registration says of one server, and what of it had to be dropped.
public struct DecodedBackend: Equatable, Sendable {
  /// The server; every field of it is safe to write into HAProxy's file and socket.
  public let backend: Backend
  /// Fields that were unusable and skipped, one sentence each, for the log.
  public let ignored: [String]
}

/// Why a child of a service's directory is not a server.
public enum RegistrationProblem: Error, Equatable, Sendable, CustomStringConvertible {
  case notJSON(length: Int)
  case notAnObject
  case missing(field: String)
  case invalid(field: String, value: String, need: String)

  /// One line, whatever the registration holds.
  public var description: String {
    switch self {
    case .notJSON(let length): "the data (\(length) byte\(length == 1 ? "" : "s")) is not JSON"
    case .notAnObject: "the JSON is not an object"
    case .missing(let field): "it has no \(field)"
    case .invalid(let field, let value, let need): "its \(field) is \(value.prefix(120)), and \(need)"
    }
  }
}

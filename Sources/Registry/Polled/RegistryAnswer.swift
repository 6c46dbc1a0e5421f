internal import Reactor
internal import SmartStack

/// Why a registry's answer is not usable.
enum RegistryError: Error, Equatable, CustomStringConvertible {
  case status(Int, excerpt: String)
  case tooLong(limit: Int)
  /// Not what the registry's interface promises.
  case unexpected(String)

  var description: String {
    switch self {
    case .status(let code, let excerpt): "the answer is HTTP \(code)\(excerpt.isEmpty ? "" : ": \(excerpt)")"
    case .tooLong(let limit): "the answer is longer than \(limit) bytes"
    case .unexpected(let what): "the answer is not as expected: \(what)"
    }
  }
}

/// One whole answer of a registry that speaks HTTP.
enum RegistryAnswer {
  /// The longest answer that is read.
  static let limit = 64 << 20

  /// - Parameter patience: for all of it.
  /// - Throws: ``RegistryError``, `StreamError`, `HTTPClientError`, or `CancellationError`.
  @LoopActor static func bytes(_ request: HTTPRequest, patience: Duration = .seconds(10)) async throws -> [UInt8] {
    let response = try await HTTPClient.send(
      request, deadline: patience, limits: HTTPClientLimits(maxBodyBytes: limit))
    guard response.status == 200 else {
      let text = String(decoding: response.body.prefix(200), as: UTF8.self)
      throw RegistryError.status(
        response.status, excerpt: text.firstLine() ?? "")
    }
    if response.isTruncated { throw RegistryError.tooLong(limit: limit) }
    return response.body
  }

  /// One whole answer, read as JSON.
  @LoopActor static func json(_ request: HTTPRequest, patience: Duration = .seconds(10)) async throws -> JSONValue {
    let bytes = try await bytes(request, patience: patience)
    guard let value = JSONValue(bytes) else { throw RegistryError.unexpected("\(bytes.count) bytes that are not JSON") }
    return value
  }
}

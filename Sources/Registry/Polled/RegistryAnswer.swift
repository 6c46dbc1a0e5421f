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
      throw RegistryError.status(
        response.status, excerpt: complaint(String(decoding: response.body.prefix(2000), as: UTF8.self)))
    }
    if response.isTruncated { throw RegistryError.tooLong(limit: limit) }
    return response.body
  }

  /// The first line; of Amazon's XML the code and the message, without what differs from request to request.
  private static func complaint(_ text: String) -> String {
    let parts = ["Code", "Message"].compactMap { name in
      text.split(separator: "<\(name)>", maxSplits: 1).dropFirst().first.map { String($0.prefix { $0 != "<" }) }
    }
    return (parts.isEmpty ? text : parts.joined(separator: ": ")).firstLine() ?? ""
  }

  /// One whole answer, read as JSON.
  @LoopActor static func json(_ request: HTTPRequest, patience: Duration = .seconds(10)) async throws -> JSONValue {
    let bytes = try await bytes(request, patience: patience)
    guard let value = JSONValue(bytes) else { throw RegistryError.unexpected("\(bytes.count) bytes that are not JSON") }
    return value
  }
}

internal import SmartStack

/// All keys below one path: keys are base64 text in this JSON.
struct EtcdRange: Equatable, Sendable {
  private let key: String
  private let end: String

  /// - Parameter path: without a trailing slash.
  init(below path: String) {
    key = Base64.text(Array((path + "/").utf8))
    // The first key that does not begin with `path/`: a zero follows the slash in ASCII.
    end = Base64.text(Array((path + "0").utf8))
  }

  var rangeBody: String { "{\"key\":\"\(key)\",\"range_end\":\"\(end)\"}" }
  var watchBody: String { "{\"create_request\":\(rangeBody)}" }
}

/// The answer of etcd's JSON gateway to a range request.
enum EtcdAnswer {
  /// Reads the registrations out of `answer`.
  /// - Throws: ``RegistryError``.
  static func reading(_ answer: JSONValue, below path: String) throws(RegistryError) -> RegistryReading {
    guard let object = answer.object, object["header"] != nil else { throw .unexpected("it has no header") }
    // Without a single key there is no list.
    guard let pairs = (object["kvs"] ?? .array([])).array else { throw .unexpected("kvs is not a list") }
    var reading = RegistryReading()
    for pair in pairs {
      guard let key = bytes(of: pair["key"]) else { throw .unexpected("a key is not base64 text") }
      let name = String(decoding: key, as: UTF8.self)
      // An empty value is not in what the gateway sends.
      guard let value = bytes(of: pair["value"] ?? "") else { throw .unexpected("a value is not base64 text") }
      do throws(OperatorError) {
        let child = name.split(separator: "/").last.map { String($0) } ?? ""
        let decoded = try RegistrationCodec.decode(payload: value, name: child)
        reading.backends.append(decoded.backend)
        if !decoded.ignored.isEmpty { reading.ignored[name] = decoded.ignored }
      } catch {
        reading.skipped[name] = error.description
      }
    }
    return reading
  }

  private static func bytes(of value: JSONValue?) -> [UInt8]? {
    value?.string.flatMap { Base64.decode(Array($0.utf8)) }
  }
}

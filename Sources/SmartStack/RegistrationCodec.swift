/// What a registration says of one server, and what of it had to be dropped.
public struct DecodedBackend: Equatable, Sendable {
  /// The server; every field of it is safe to write into HAProxy's file and socket.
  public let backend: Backend
  /// Fields that were unusable and left out, one sentence each, for the log.
  public let ignored: [String]
}

/// Why a child of a service's directory is no server.
public enum RegistrationProblem: Error, Equatable, Sendable, CustomStringConvertible {
  case notJSON(length: Int)
  case notAnObject
  case missing(field: String)
  case invalid(field: String, value: String, need: String)

  /// One line, whatever the registration holds.
  public var description: String {
    switch self {
    case .notJSON(let length): "the \(length) bytes are no JSON"
    case .notAnObject: "the JSON is no object"
    case .missing(let field): "it has no \(field)"
    case .invalid(let field, let value, let need): "its \(field) is \(value.prefix(120)), and \(need)"
    }
  }
}

/// How the configuration spelt what a registration repeats: the originals copy it as it stands.
public struct PayloadSpelling: OptionSet, Sendable {
  /// The bits.
  public let rawValue: Int

  /// From bits.
  public init(rawValue: Int) { self.rawValue = rawValue }

  /// The port is written as a string, because the configuration has it quoted.
  public static let portAsText = PayloadSpelling(rawValue: 1)
  /// `"labels":null`, because the configuration says so.
  public static let labelsAsNull = PayloadSpelling(rawValue: 2)
}

/// Registrations as nerve writes them and synapse reads them, in a node's data or in its name.
///
/// Everything read is checked before it is believed: what ``decode(payload:name:)`` returns cannot add a
/// line, a word or a command where a server's name, address or options are written.
public enum RegistrationCodec {
  /// Names from this length on (of the base64 text) are not encoded; the data is then the only place.
  public static let longestEncodedName = 65_536

  /// The data of a registration: `{"host","port","name"[,"weight"][,"haproxy_server_options"][,"labels"]}`.
  public static func payload(_ backend: Backend, spelling: PayloadSpelling = []) -> [UInt8] {
    let port = spelling.contains(.portAsText) ? "\"\(backend.port)\"" : "\(backend.port)"
    var json = "{\"host\":\(JSONText.quoted(backend.host)),\"port\":\(port)"
    json += ",\"name\":" + (backend.name.map(JSONText.quoted) ?? "null")
    if let weight = backend.weight { json += ",\"weight\":\(weight)" }
    if let options = backend.haproxyServerOptions { json += ",\"haproxy_server_options\":\(JSONText.quoted(options))" }
    if let labels = backend.labels {
      json += ",\"labels\":\(labels.json)"
    } else if spelling.contains(.labelsAsNull) {
      json += ",\"labels\":null"
    }
    return Array((json + "}").utf8)
  }

  /// The name (before a sequence number) that carries `payload`: `base64_<length>_<base64>_`; nil when it
  /// would be longer than ZooKeeper's lists of names stand.
  public static func pathEncodedName(payload: [UInt8]) -> String? {
    let text = Base64.urlSafeText(payload)
    return text.utf8.count <= longestEncodedName ? "base64_\(text.utf8.count)_\(text)_" : nil
  }

  /// Decodes a name that carries its data.
  /// - Returns: nil when the name carries none, or none that can be read: the data is to be fetched.
  /// - Throws: when it carries JSON that is no usable registration; the child is to be skipped.
  public static func decode(name: String) throws(RegistrationProblem) -> DecodedBackend? {
    guard let payload = payload(inName: name) else { return nil }
    do throws(RegistrationProblem) {
      return try decode(payload: payload, name: name)
    } catch .notJSON {
      return nil
    }
  }

  /// Decodes a node's data.
  /// - Parameters:
  ///   - payload: the data.
  ///   - name: the child's name, for the sequence number at its end.
  public static func decode(payload: [UInt8], name: String) throws(RegistrationProblem) -> DecodedBackend {
    var cursor = JSONCursor(payload)
    let fields = try RegistrationFields(reading: &cursor, length: payload.count)
    return try fields.backend(id: sequenceNumber(ofName: name))
  }

  /// Decodes a node's data in the form of Twitter's server sets.
  /// - Parameter endpoint: the additional endpoint to take instead of the service's own.
  public static func decodeServerset(
    payload: [UInt8], name: String, endpoint: String?
  ) throws(RegistrationProblem) -> DecodedBackend {
    var cursor = JSONCursor(payload)
    let fields = try RegistrationFields(readingServerset: &cursor, length: payload.count, endpoint: endpoint)
    return try fields.backend(id: sequenceNumber(ofName: name))
  }

  /// The number that ZooKeeper put behind the last underscore of a sequential node's name.
  public static func sequenceNumber(ofName name: String) -> Int? {
    var bytes = name.utf8[...]
    while bytes.last == UInt8(ascii: "_") { bytes = bytes.dropLast() }
    let digits = bytes.suffix(from: bytes.lastIndex(of: UInt8(ascii: "_")).map(bytes.index(after:)) ?? bytes.startIndex)
    guard !digits.isEmpty, digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Int(Substring(digits))
  }

  /// The bytes between `base64_<length>_` and what follows, decoded.
  private static func payload(inName name: String) -> [UInt8]? {
    let prefix = "base64_"
    guard name.hasPrefix(prefix) else { return nil }
    let rest = name.utf8.dropFirst(prefix.utf8.count)
    guard let mark = rest.firstIndex(of: UInt8(ascii: "_")), let length = Int(Substring(rest[..<mark])), length > 0
    else { return nil }
    let text = rest[rest.index(after: mark)...].prefix(length)
    return Base64.decode(text)
  }
}

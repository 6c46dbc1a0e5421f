/// Registrations as nerve writes them and synapse reads them, in a node's data or in its name.
///
/// Everything read is checked before it is believed: what ``decode(payload:name:)`` returns cannot add a
/// line, a word or a command where a server's name, address or options are written.
public enum RegistrationCodec {
  /// The name, before a sequence number, that carries `payload`: `base64_<length>_<base64>_`. However long that is:
  /// lists of names stand in one ZooKeeper packet, so the registering side sets a limit.
  public static func pathEncodedName(payload: [UInt8]) -> String {
    let text = Base64.urlSafeText(payload)
    return "base64_\(text.utf8.count)_\(text)_"
  }

  /// Decodes a name that carries its data.
  /// - Returns: nil when the name carries none, or none that can be read: the data is to be fetched.
  /// - Throws: when it carries JSON that is not a usable registration; the child is skipped.
  public static func decode(name: String) throws(OperatorError) -> DecodedBackend? {
    guard let payload = payload(inName: name), let fields = try RegistrationFields(payload) else { return nil }
    return try fields.backend(id: sequenceNumber(ofName: name))
  }

  /// Decodes a node's data.
  /// - Parameters:
  ///   - payload: the data.
  ///   - name: the child's name, for the sequence number at its end.
  public static func decode(payload: [UInt8], name: String) throws(OperatorError) -> DecodedBackend {
    guard let fields = try RegistrationFields(payload) else { throw notJSON(payload) }
    return try fields.backend(id: sequenceNumber(ofName: name))
  }

  /// Decodes a node's data in the form of Twitter's server sets.
  /// - Parameter endpoint: the additional endpoint to take instead of the service's own.
  public static func decodeServerset(
    payload: [UInt8], name: String, endpoint: String?
  ) throws(OperatorError) -> DecodedBackend {
    guard let fields = try RegistrationFields(serverset: payload, endpoint: endpoint) else { throw notJSON(payload) }
    return try fields.backend(id: sequenceNumber(ofName: name))
  }

  private static func notJSON(_ payload: [UInt8]) -> OperatorError {
    OperatorError("the data (\(payload.count.counted("byte"))) is not JSON")
  }

  /// The number that ZooKeeper put behind the last underscore of a sequential node's name.
  public static func sequenceNumber(ofName name: String) -> Int? {
    var bytes = name.utf8[...]
    while bytes.last == UInt8(ascii: "_") { bytes = bytes.dropLast() }
    let digits = bytes.suffix(from: bytes.lastIndex(of: UInt8(ascii: "_")).map(bytes.index(after:)) ?? bytes.startIndex)
    guard !digits.isEmpty, digits.allSatisfy({ $0.isDigit }) else { return nil }
    return Int(Substring(digits))
  }

  /// Whether no other node of its directory ever has this name: it ends as ZooKeeper ends names of sequential nodes, in an
  /// underscore and the ten digits of a number that it does not give again.
  public static func isUnique(name: String) -> Bool {
    let digits = name.utf8.suffix(10)
    return digits.count == 10 && digits.allSatisfy { $0.isDigit } && name.utf8.dropLast(10).last == UInt8(ascii: "_")
  }

  /// The bytes between `base64_<length>_` and what follows, decoded.
  private static func payload(inName name: String) -> [UInt8]? {
    let prefix = "base64_"
    guard name.hasPrefix(prefix) else { return nil }
    let rest = name.utf8.dropFirst(prefix.utf8.count)
    guard let mark = rest.firstIndex(of: UInt8(ascii: "_")), let length = Int(Substring(rest[..<mark])), length > 0
    else { return nil }
    let text = rest[rest.index(after: mark)...].prefix(length)
    return Base64.decode(Array(text))
  }
}

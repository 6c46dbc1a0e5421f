/// The fields of a registration as they stand in it, before they are believed.
struct RegistrationFields {
  /// A JSON value, as far as a registration's fields care.
  enum Field {
    case absent
    case text(String)
    case integer(String)
    case labels(Labels)
    /// Compact JSON of anything else, null included.
    case other(String)
  }

  private var host = Field.absent
  private var port = Field.absent
  private var name = Field.absent
  private var weight = Field.absent
  private var options = Field.absent
  private var labels = Field.absent

  private init() {}

  // MARK: Reading

  /// Reads the fields of nerve's JSON form; nil for what is not JSON.
  init?(_ payload: [UInt8]) throws(OperatorError) {
    var cursor = JSONCursor(payload)
    guard try RegistrationFields.isAtObject(&cursor) else { return nil }
    var fields = RegistrationFields()
    let isWhole = cursor.readObject { name, cursor in fields.read(name, from: &cursor) }
    guard isWhole, cursor.peek() == nil else { return nil }
    self = fields
  }

  /// `{"serviceEndpoint": {host, port}, "additionalEndpoints": {NAME: {host, port}}, "shard": 0}`
  init?(serverset payload: [UInt8], endpoint: String?) throws(OperatorError) {
    var cursor = JSONCursor(payload)
    guard try RegistrationFields.isAtObject(&cursor) else { return nil }
    var chosen: RegistrationFields?
    var shard = Field.absent
    let isWhole = cursor.readObject { name, cursor in
      switch name {
      case "serviceEndpoint" where endpoint == nil: readEndpoint(&cursor, into: &chosen)
      case "additionalEndpoints" where endpoint != nil && cursor.peek() == UInt8(ascii: "{"):
        cursor.readObject { name, cursor in
          name == endpoint ? readEndpoint(&cursor, into: &chosen) : cursor.readCompact() != nil
        }
      case "shard": RegistrationFields.read(&cursor, into: &shard)
      default: cursor.readCompact() != nil
      }
    }
    guard isWhole, cursor.peek() == nil else { return nil }
    guard var chosen else {
      throw OperatorError("it has no \(endpoint.map { "endpoint \(JSONText.quoted($0))" } ?? "serviceEndpoint")")
    }
    if case .integer(let number) = shard { shard = .text(number) }
    chosen.name = shard
    self = chosen
  }

  /// Whether an object begins here; false for what is not JSON.
  private static func isAtObject(_ cursor: inout JSONCursor) throws(OperatorError) -> Bool {
    if cursor.peek() == UInt8(ascii: "{") { return true }
    guard cursor.readCompact() != nil, cursor.peek() == nil else { return false }
    throw OperatorError("the JSON is not an object")
  }

  private mutating func read(_ name: String, from cursor: inout JSONCursor) -> Bool {
    switch name {
    case "host": RegistrationFields.read(&cursor, into: &host)
    case "port": RegistrationFields.read(&cursor, into: &port)
    case "name": RegistrationFields.read(&cursor, into: &self.name)
    case "weight": RegistrationFields.read(&cursor, into: &weight)
    case "haproxy_server_options": RegistrationFields.read(&cursor, into: &options)
    case "labels": readLabels(&cursor)
    default: cursor.readCompact() != nil
    }
  }

  private mutating func readLabels(_ cursor: inout JSONCursor) -> Bool {
    guard cursor.peek() == UInt8(ascii: "{") else { return RegistrationFields.read(&cursor, into: &labels) }
    guard let read = cursor.readLabels() else { return false }
    labels = .labels(read)
    return true
  }

  private static func read(_ cursor: inout JSONCursor, into field: inout Field) -> Bool {
    switch cursor.peek() {
    case UInt8(ascii: "\""):
      guard let text = cursor.readString() else { return false }
      field = .text(text)
    case UInt8(ascii: "{"), UInt8(ascii: "["):
      guard let json = cursor.readCompact() else { return false }
      field = .other(json)
    default:
      switch cursor.readWord() {
      case .integer(let text): field = .integer(text)
      case .float(let text): field = .other(text)
      case .bool(let value): field = .other(value ? "true" : "false")
      case .null: field = .other("null")
      case nil: return false
      }
    }
    return true
  }

  // MARK: Believing

  func backend(id: Int?) throws(OperatorError) -> DecodedBackend {
    var ignored: [String] = []
    var backend = Backend(host: try checkedHost(), port: try checkedPort(), id: id)
    backend.name = try checkedName()
    backend.labels = try checkedLabels()
    backend.haproxyServerOptions = try checkedOptions(&ignored)
    backend.weight = checkedWeight(&ignored)
    return DecodedBackend(backend: backend, ignored: ignored)
  }

  private func checkedHost() throws(OperatorError) -> String {
    switch host {
    case .absent: throw OperatorError("it has no host")
    case .text(let text): if let host = ServerText.host(text) { return host }
    default: break
    }
    throw host.invalid(as: "host", need: "an address or a DNS name is needed")
  }

  private func checkedPort() throws(OperatorError) -> Int {
    switch port {
    case .absent: throw OperatorError("it has no port")
    case .integer(let text), .text(let text):
      if text.utf8.allSatisfy({ $0.isDigit }), let number = Int(text), (1...65_535).contains(number) {
        return number
      }
    default: break
    }
    throw port.invalid(as: "port", need: "a number from 1 to 65535 is needed")
  }

  private func checkedName() throws(OperatorError) -> String? {
    switch name {
    case .absent, .other("null"): return nil
    case .text(let text) where text.isEmpty || ServerText.isName(text): return text
    default:
      throw name.invalid(as: "name", need: "only letters, digits and _.:- can stand in a server's name")
    }
  }

  private func checkedLabels() throws(OperatorError) -> Labels? {
    switch labels {
    case .absent, .other("null"): return nil
    case .labels(let labels): return labels
    default: throw labels.invalid(as: "labels", need: "an object is needed")
    }
  }

  private func checkedOptions(_ ignored: inout [String]) throws(OperatorError) -> String? {
    switch options {
    case .absent, .other("null"): return nil
    case .text(let text):
      if let trouble = ServerText.troubleWithOptions(text) {
        throw options.invalid(as: "haproxy_server_options", need: trouble)
      }
      return text
    default:
      ignored.append("haproxy_server_options \(options.shown.prefix(120)) is not text")
      return nil
    }
  }

  private func checkedWeight(_ ignored: inout [String]) -> Int? {
    switch weight {
    case .absent, .other("null"): return nil
    case .integer(let text):
      if let number = Int(text), number >= 0 { return number }
    default: break
    }
    ignored.append("weight \(weight.shown.prefix(120)) is not a non-negative integer")
    return nil
  }
}

private func readEndpoint(_ cursor: inout JSONCursor, into chosen: inout RegistrationFields?) -> Bool {
  guard cursor.peek() == UInt8(ascii: "{") else { return cursor.readCompact() != nil }
  return RegistrationFields.readMembers(&cursor).map { chosen = $0 } != nil
}

extension RegistrationFields {
  fileprivate static func readMembers(_ cursor: inout JSONCursor) -> RegistrationFields? {
    var fields = RegistrationFields()
    return cursor.readObject { name, cursor in fields.read(name, from: &cursor) } ? fields : nil
  }
}

extension RegistrationFields.Field {
  /// The error of a field that is something else than what it needs to be; one line, whatever the registration holds.
  func invalid(as name: String, need: String) -> OperatorError {
    OperatorError("its \(name) is \(shown.prefix(120)), and \(need)")
  }

  /// For an error; one line.
  var shown: String {
    switch self {
    case .absent: "absent"
    case .text(let text): JSONText.quoted(String(text.prefix(120)))
    case .integer(let text), .other(let text): text
    case .labels(let labels): labels.json
    }
  }
}

/// What a registration says of one server, and what of it had to be dropped.
public struct DecodedBackend: Equatable, Sendable {
  /// The server; every field of it is safe to write into HAProxy's file and socket.
  public let backend: Backend
  /// Fields that were unusable and skipped, one sentence each, for the log.
  public let ignored: [String]
}

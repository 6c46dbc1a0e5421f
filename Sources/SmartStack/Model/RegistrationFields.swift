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

  /// Reads the fields of nerve's JSON form.
  init(reading cursor: inout JSONCursor, length: Int) throws(RegistrationProblem) {
    try RegistrationFields.expectObject(&cursor, length: length)
    var fields = RegistrationFields()
    let isWhole = cursor.readObject { name, cursor in fields.read(name, from: &cursor) }
    guard isWhole, cursor.peek() == nil else { throw .notJSON(length: length) }
    self = fields
  }

  /// `{"serviceEndpoint": {host, port}, "additionalEndpoints": {NAME: {host, port}}, "shard": 0}`
  init(readingServerset cursor: inout JSONCursor, length: Int, endpoint: String?) throws(RegistrationProblem) {
    try RegistrationFields.expectObject(&cursor, length: length)
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
    guard isWhole, cursor.peek() == nil else { throw .notJSON(length: length) }
    guard var chosen else {
      throw .missing(field: endpoint.map { "endpoint \(JSONText.quoted($0))" } ?? "serviceEndpoint")
    }
    if case .integer(let number) = shard { shard = .text(number) }
    chosen.name = shard
    self = chosen
  }

  private static func expectObject(_ cursor: inout JSONCursor, length: Int) throws(RegistrationProblem) {
    if cursor.peek() == UInt8(ascii: "{") { return }
    guard cursor.readCompact() != nil, cursor.peek() == nil else { throw .notJSON(length: length) }
    throw .notAnObject
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
    var read = Labels()
    let isWhole = cursor.readObject { name, cursor in
      guard cursor.peek() == UInt8(ascii: "\"") else {
        guard let json = cursor.readCompact() else { return false }
        read[name] = .json(json)
        return true
      }
      guard let text = cursor.readString() else { return false }
      read[name] = .text(text)
      return true
    }
    labels = .labels(read)
    return isWhole
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

  func backend(id: Int?) throws(RegistrationProblem) -> DecodedBackend {
    var ignored: [String] = []
    var backend = Backend(host: try checkedHost(), port: try checkedPort(), id: id)
    backend.name = try checkedName()
    backend.labels = try checkedLabels()
    backend.haproxyServerOptions = try checkedOptions(&ignored)
    backend.weight = checkedWeight(&ignored)
    return DecodedBackend(backend: backend, ignored: ignored)
  }

  private func checkedHost() throws(RegistrationProblem) -> String {
    switch host {
    case .absent: throw .missing(field: "host")
    case .text(let text) where ServerText.isHost(text): return text
    default: throw .invalid(field: "host", value: host.shown, need: "an address or a DNS name is needed")
    }
  }

  private func checkedPort() throws(RegistrationProblem) -> Int {
    switch port {
    case .absent: throw .missing(field: "port")
    case .integer(let text), .text(let text):
      if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), (1...65_535).contains(number) {
        return number
      }
    default: break
    }
    throw .invalid(field: "port", value: port.shown, need: "a number from 1 to 65535 is needed")
  }

  private func checkedName() throws(RegistrationProblem) -> String? {
    switch name {
    case .absent, .other("null"): return nil
    case .text(let text) where text.isEmpty || ServerText.isName(text): return text
    default:
      throw .invalid(
        field: "name", value: name.shown, need: "only letters, digits and _.:- can stand in a server's name")
    }
  }

  private func checkedLabels() throws(RegistrationProblem) -> Labels? {
    switch labels {
    case .absent, .other("null"): return nil
    case .labels(let labels): return labels
    default: throw .invalid(field: "labels", value: labels.shown, need: "an object is needed")
    }
  }

  private func checkedOptions(_ ignored: inout [String]) throws(RegistrationProblem) -> String? {
    switch options {
    case .absent, .other("null"): return nil
    case .text(let text):
      if let trouble = ServerText.troubleWithOptions(text) {
        throw .invalid(field: "haproxy_server_options", value: options.shown, need: trouble)
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

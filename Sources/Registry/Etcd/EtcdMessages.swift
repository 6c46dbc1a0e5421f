internal import SmartStack

/// What is read out of an answer of etcd's JSON gateway; whatever else it holds is skipped.
struct EtcdReply: Equatable, Sendable {
  /// A lease's number, in decimal.
  var leaseID: String?
  /// Seconds a lease has left; 0 or nil for one that is gone.
  var lifetime: Int?
  /// What was refused, and why.
  var error: String?

  /// Bytes that are no JSON give an empty reply.
  init(_ body: [UInt8]) {
    var cursor = JSONCursor(body)
    let answer = cursor.readValue() ?? .null
    // A stream's answers stand in `result`, its errors in an object `error` with a `message`.
    let result = answer["result"] ?? answer
    leaseID = EtcdReply.number(result["ID"]).map(String.init)
    lifetime = EtcdReply.number(result["TTL"])
    let problem = answer["error"] ?? answer["message"]
    error = problem?.string ?? problem?["message"]?.string
  }

  /// 64-bit numbers are texts in this JSON.
  private static func number(_ value: JSONValue?) -> Int? { value?.int ?? value?.string.flatMap { Int($0) } }
}

/// Requests to etcd: to the JSON gateway of etcd 3, where keys and values are base64 text and 64-bit numbers are texts,
/// and to the HTTP interface of etcd 2.
enum EtcdMessage {
  static func grant(lifetime: Int) -> String { "{\"TTL\":\"\(lifetime)\"}" }

  static func lease(_ id: String) -> String { "{\"ID\":\"\(id)\"}" }

  static func put(key: String, value: [UInt8], lease: String) -> String {
    "{\"key\":\"\(Base64.text(Array(key.utf8)))\",\"value\":\"\(Base64.text(value))\",\"lease\":\"\(lease)\"}"
  }

  static func delete(key: String) -> String { "{\"key\":\"\(Base64.text(Array(key.utf8)))\"}" }

  // MARK: etcd 2

  /// The address of a key, or of the root.
  static func v2Target(_ key: String) -> String { "/v2/keys" + escape(key, keeping: UInt8(ascii: "/")) }

  static func v2Put(_ value: [UInt8], lifetime: Int) -> String {
    "value=\(escape(String(decoding: value, as: UTF8.self)))&ttl=\(lifetime)"
  }

  /// A longer life for a key that is there; its value stays, and its watchers are not woken.
  static func v2Refresh(lifetime: Int) -> String { "ttl=\(lifetime)&refresh=true&prevExist=true" }

  private static let digits = Array("0123456789ABCDEF".utf8)

  /// RFC 3986, section 2.1.
  private static func escape(_ text: String, keeping kept: UInt8? = nil) -> String {
    var out: [UInt8] = []
    for byte in text.utf8 {
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF)
        || [UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~")].contains(byte) || byte == kept
      out += isPlain ? [byte] : [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
    return String(decoding: out, as: UTF8.self)
  }
}

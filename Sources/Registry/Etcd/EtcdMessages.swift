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
  static func v2Target(_ key: String) -> String { "/v2/keys" + key.percentEncoded(keeping: "/") }

  static func v2Put(_ value: [UInt8], lifetime: Int) -> String {
    "value=\(String(decoding: value, as: UTF8.self).percentEncoded())&ttl=\(lifetime)"
  }

  /// A longer life for a key that is there; its value stays, and its watchers are not woken.
  static func v2Refresh(lifetime: Int) -> String { "ttl=\(lifetime)&refresh=true&prevExist=true" }
}

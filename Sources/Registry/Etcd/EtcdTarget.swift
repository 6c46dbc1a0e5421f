internal import Reactor
internal import SmartStack

/// One key of an etcd.
public struct EtcdTarget: Hashable, Sendable {
  var cluster: EtcdSettings
  /// `etcd_path/INSTANCE/SERVICE`, with a slash at its beginning.
  var key: String
  /// The value of the key.
  var data: [UInt8]
}

/// Address and dialect of one etcd; one lease per distinct value.
struct EtcdSettings: Hashable, Sendable {
  /// Tried in turn; at least one.
  var endpoints: [Endpoint]
  /// The interface to speak.
  var api: API
  /// Seconds that a registration outlives an agent that is gone.
  var lifetime: Int

  /// The name by which what is kept of it is found again.
  var name: String {
    "etcd \(api.rawValue) \(lifetime) " + endpoints.map(\.description).joined(separator: ",")
  }

  /// The interface of etcd: `etcd_api`.
  enum API: String, Hashable, Sendable, CaseIterable {
    /// v2 where the server has it, else v3.
    case auto
    /// The HTTP interface of etcd 2, with a time to live per key: upstream's.
    case v2
    /// The JSON gateway of etcd 3, with one lease.
    case v3
  }
}

extension EtcdSettings {
  /// Reads a ``name``; nil when it is none.
  init?(name: String) {
    let words = name.split(separator: " ")
    guard words.count == 4, words[0] == "etcd", let api = API(rawValue: String(words[1])), let lifetime = Int(words[2])
    else { return nil }
    var endpoints: [Endpoint] = []
    for text in words[3].split(separator: ",") {
      guard let colon = text.lastIndex(of: ":"), let host = ServerText.host(String(text[..<colon])),
        let port = Int(text[text.index(after: colon)...])
      else { return nil }
      endpoints.append(.tcp(host: host, port: port))
    }
    self.init(endpoints: endpoints, api: api, lifetime: lifetime)
  }
}

internal import SmartStack

/// Content of a registration as JSON text, and the znode's name that follows from it.
///
/// Values that nerve only passes on (`labels`, `haproxy_server_options`, a port written as text) stay
/// as the configuration has them, in its order: readers compare and hash the text.
struct RegistrationPayload: Equatable, Sendable {
  /// The service's address or name.
  var host: String
  /// JSON: `31000`, or `"31000"` if the configuration has a text.
  var port: String
  /// The host's own name, `instance_id`.
  var name: String
  /// The weight that HAProxy gives the server, if the key is there.
  var weight: Int?
  /// JSON, if the key is there.
  var haproxyServerOptions: String?
  /// JSON, if the key is there; `null` is published as such.
  var labels: String?

  /// The data of the znode.
  var json: String {
    let (host, name) = (JSONText.quoted(host), JSONText.quoted(name))
    var text = "{\"host\":\(host),\"port\":\(port),\"name\":\(name)"
    if let weight { text += ",\"weight\":\(weight)" }
    if let haproxyServerOptions { text += ",\"haproxy_server_options\":\(haproxyServerOptions)" }
    if let labels { text += ",\"labels\":\(labels)" }
    return text + "}"
  }

  /// Upstream's limit, in characters: longer names would make the directory's list too long for one
  /// ZooKeeper packet.
  private static let longestEncodedName = 65_536

  /// The znode's name without its sequence number; a payload too long for a name stays in the data alone.
  func nodeName(pathEncoded: Bool) -> String {
    guard pathEncoded else { return name + "_" }
    let encoded = RegistrationCodec.pathEncodedName(payload: Array(json.utf8))
    return encoded.utf8.count <= RegistrationPayload.longestEncodedName ? encoded : name + "_"
  }
}

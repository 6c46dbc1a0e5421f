internal import SmartStack
internal import YAMLConfig

/// What a registration says, as JSON text, and the znode's name that follows from it.
///
/// Values that nerve only passes on (`labels`, `haproxy_server_options`, a port written as text) stay
/// as the configuration has them, in its order: readers compare and hash the text.
struct RegistrationPayload: Equatable, Sendable {
  /// Longer path-encoded texts do not go into a name; the reader fetches the data instead.
  static let longestEncodedName = 65_536

  var host: String
  /// JSON: `31000`, or `"31000"` if the configuration has a text.
  var port: String
  /// The host's own name, `instance_id`.
  var name: String
  var weight: Int?
  /// JSON, if the key is there.
  var haproxyServerOptions: String?
  /// JSON, if the key is there; `null` is published as such.
  var labels: String?

  /// The znode's data.
  var json: String {
    let (host, name) = (RegistrationPayload.quoted(host), RegistrationPayload.quoted(name))
    var text = "{\"host\":\(host),\"port\":\(port),\"name\":\(name)"
    if let weight { text += ",\"weight\":\(weight)" }
    if let haproxyServerOptions { text += ",\"haproxy_server_options\":\(haproxyServerOptions)" }
    if let labels { text += ",\"labels\":\(labels)" }
    return text + "}"
  }

  /// The znode's name without its sequence number.
  func nodeName(pathEncoded: Bool) -> String {
    if pathEncoded {
      let payload = Array(json.utf8)
      let encodedLength = (payload.count + 2) / 3 * 4
      if encodedLength <= RegistrationPayload.longestEncodedName {
        return RegistrationCodec.pathEncodedName(payload: payload)
      }
    }
    return name + "_"
  }

  private static func quoted(_ text: String) -> String { YAMLScalar(text: text, kind: .text).json }
}

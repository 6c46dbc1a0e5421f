public import SmartStack

extension RegistrationCodec {
  /// The data of a registration: `{"host","port","name"[,"weight"][,"haproxy_server_options"][,"labels"]}`.
  public static func payload(_ backend: Backend) -> [UInt8] {
    var json = "{\"host\":\(JSONText.quoted(backend.host)),\"port\":\(backend.port)"
    json += ",\"name\":" + (backend.name.map(JSONText.quoted) ?? "null")
    if let weight = backend.weight { json += ",\"weight\":\(weight)" }
    if let options = backend.haproxyServerOptions { json += ",\"haproxy_server_options\":\(JSONText.quoted(options))" }
    if let labels = backend.labels { json += ",\"labels\":\(labels.json)" }
    return Array((json + "}").utf8)
  }
}

internal import SmartStack

extension EtcdDiscovery {
  /// Reads the registrations out of the answer of etcd's JSON gateway, where keys and values are base64 text.
  static func reading(_ answer: JSONValue) throws(RegistryError) -> RegistryReading {
    guard let object = answer.object, object["header"] != nil else { throw .unexpected("it has no header") }
    // Without a single key there is no list.
    guard let pairs = (object["kvs"] ?? .array([])).array else { throw .unexpected("kvs is not a list") }
    var reading = RegistryReading()
    for pair in pairs {
      guard let key = bytes(of: pair["key"]) else { throw .unexpected("a key is not base64 text") }
      let name = String(decoding: key, as: UTF8.self)
      // An empty value is not in what the gateway sends.
      guard let value = bytes(of: pair["value"] ?? "") else { throw .unexpected("a value is not base64 text") }
      reading.add(at: name) { () throws(OperatorError) in
        try RegistrationCodec.decode(payload: value, name: name.split(separator: "/").last.map(String.init) ?? "")
      }
    }
    return reading
  }

  private static func bytes(of value: JSONValue?) -> [UInt8]? {
    value?.string.flatMap { Base64.decode(Array($0.utf8)) }
  }
}

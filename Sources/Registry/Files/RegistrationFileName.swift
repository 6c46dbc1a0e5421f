/// The name of a registration's file: `SERVICE@INSTANCE.json`.
///
/// Bytes that are no letters, digits, `.`, `-` or `_` are written as `%` and two hexadecimal digits, and so is a dot
/// at the beginning. So no two services share a file, and the files of one instance can be told from all others.
public struct RegistrationFileName: Equatable, Sendable {
  /// The name with both parts escaped.
  public let text: String

  /// The name of `service`'s file, as `instance` writes it.
  public init(service: String, instance: String) {
    text = RegistrationFileName.escape(service) + RegistrationFileName.ending(of: instance)
  }

  /// What the names of all files of `instance` end with.
  static func ending(of instance: String) -> String { "@" + escape(instance) + ".json" }

  private static func escape(_ text: String) -> String {
    var out = ""
    for byte in text.utf8 {
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == 0x2D || byte == 0x5F
        || byte == 0x2E && !out.isEmpty
      out += isPlain ? String(UnicodeScalar(byte)) : (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
    }
    return out
  }
}

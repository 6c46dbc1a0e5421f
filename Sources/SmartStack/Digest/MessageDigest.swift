internal import CCrypto

/// The digests that other programs compute too, by OpenSSL's libcrypto.
public enum MessageDigest: Sendable {
  /// 20 bytes. For what others have computed with it: nothing here relies on its strength.
  case sha1
  /// 32 bytes. Strong, for signatures.
  case sha256
  /// 16 bytes. For what others have computed with it: nothing here relies on its strength.
  case md5

  /// Computes the digest of `bytes`.
  public func hash(_ bytes: some Collection<UInt8>) -> [UInt8] {
    guard let result = hashIfAllowed(bytes) else { preconditionFailure("OpenSSL refuses \(self)") }
    return result
  }

  /// Computes the digest of `bytes`; nil if this machine's OpenSSL is configured to refuse the function.
  public func hashIfAllowed(_ bytes: some Collection<UInt8>) -> [UInt8]? {
    let message = Array(bytes)
    var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    guard EVP_Digest(message, message.count, &result, &count, function, nil) == 1 else {
      ERR_clear_error()
      return nil
    }
    return Array(result.prefix(Int(count)))
  }

  /// Computes the keyed digest of `bytes` (HMAC, RFC 2104).
  public func authenticate(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
    var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    let isDone = HMAC(function, key, Int32(key.count), bytes, bytes.count, &result, &count) != nil
    precondition(isDone, "OpenSSL has no HMAC")
    return Array(result.prefix(Int(count)))
  }

  private var function: OpaquePointer? {
    switch self {
    case .sha1: EVP_sha1()
    case .sha256: EVP_sha256()
    case .md5: EVP_md5()
    }
  }
}

extension Sequence where Element == UInt8 {
  /// Two lower-case hexadecimal digits per byte.
  public var hexadecimal: String {
    var text: [UInt8] = []
    for byte in self {
      for digit in [byte >> 4, byte & 15] { text.append(digit < 10 ? 0x30 + digit : 0x57 + digit) }
    }
    return String(decoding: text, as: UTF8.self)
  }
}

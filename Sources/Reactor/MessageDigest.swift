internal import CEvent

/// SHA-256 and its keyed form (RFC 2104), by the library that does TLS.
public enum MessageDigest {
  private static let length = 32

  /// 32 bytes.
  public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      let isDone = EVP_Digest(bytes, bytes.count, buffer.baseAddress, nil, EVP_sha256(), nil) == 1
      precondition(isDone, "OpenSSL has no SHA-256")
      count = length
    }
  }

  /// 32 bytes.
  public static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      let isDone = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, buffer.baseAddress, nil) != nil
      precondition(isDone, "OpenSSL has no HMAC")
      count = length
    }
  }
}

internal import CEvent

/// SHA-256, its keyed form (RFC 2104) and MD5, by the library that does TLS.
public enum MessageDigest {
  private static let length = 32

  /// Returns the SHA-256 digest, 32 bytes.
  public static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      let isDone = EVP_Digest(bytes, bytes.count, buffer.baseAddress, nil, EVP_sha256(), nil) == 1
      precondition(isDone, "OpenSSL has no SHA-256")
      count = length
    }
  }

  /// 16 bytes. For what others have computed with it; nothing may rely on its strength.
  public static func md5(_ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
      let isDone = EVP_Digest(bytes, bytes.count, buffer.baseAddress, nil, EVP_md5(), nil) == 1
      precondition(isDone, "OpenSSL has no MD5")
      count = 16
    }
  }

  /// Returns the HMAC with SHA-256, 32 bytes.
  public static func hmacSHA256(key: [UInt8], _ bytes: [UInt8]) -> [UInt8] {
    [UInt8](unsafeUninitializedCapacity: length) { buffer, count in
      let isDone = HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, buffer.baseAddress, nil) != nil
      precondition(isDone, "OpenSSL has no HMAC")
      count = length
    }
  }
}

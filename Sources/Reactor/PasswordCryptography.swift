internal import CEvent

/// What logging in to a MySQL server takes of OpenSSL.
public enum PasswordCryptography {
  /// A hash function of password schemes.
  public enum Digest: Sendable {
    case sha1, sha256
  }

  /// The digest of `message`; nil if this machine's OpenSSL is set up to refuse the function.
  public static func hash(_ message: [UInt8], _ digest: Digest) -> [UInt8]? {
    let function =
      switch digest {
      case .sha1: EVP_sha1()
      case .sha256: EVP_sha256()
      }
    var result = [UInt8](repeating: 0, count: Int(EVP_MAX_MD_SIZE))
    var count: UInt32 = 0
    guard EVP_Digest(message, message.count, &result, &count, function, nil) == 1 else {
      ERR_clear_error()
      return nil
    }
    return Array(result.prefix(Int(count)))
  }

  /// Encrypts with an RSA public key and OAEP padding (RFC 8017 § 7.1, with SHA-1, as MySQL has it).
  /// - Parameter publicKey: in PEM.
  /// - Returns: nil if that is no RSA key, or one too short for the message.
  public static func encryptRSA(_ message: [UInt8], publicKey: [UInt8]) -> [UInt8]? {
    defer { ERR_clear_error() }
    guard let source = BIO_new_mem_buf(publicKey, Int32(clamping: publicKey.count)) else { return nil }
    defer { BIO_free(source) }
    guard let key = PEM_read_bio_PUBKEY(source, nil, nil, nil) else { return nil }
    defer { EVP_PKEY_free(key) }
    guard let context = EVP_PKEY_CTX_new(key, nil) else { return nil }
    defer { EVP_PKEY_CTX_free(context) }
    var count = 0
    guard EVP_PKEY_encrypt_init(context) == 1,
      EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1,
      EVP_PKEY_encrypt(context, nil, &count, message, message.count) == 1
    else { return nil }
    var result = [UInt8](repeating: 0, count: count)
    guard EVP_PKEY_encrypt(context, &result, &count, message, message.count) == 1 else { return nil }
    return Array(result.prefix(count))
  }
}

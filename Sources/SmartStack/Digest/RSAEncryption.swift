internal import CCrypto

extension [UInt8] {
  /// Encrypts with an RSA public key and OAEP padding (RFC 8017 § 7.1, with SHA-1, as MySQL expects).
  /// - Parameter publicKey: in PEM.
  /// - Returns: nil if that is not an RSA key, or if it is too short for the message.
  public func encryptedRSA(forKey publicKey: [UInt8]) -> [UInt8]? {
    defer { ERR_clear_error() }
    guard let source = BIO_new_mem_buf(publicKey, Int32(clamping: publicKey.count)) else { return nil }
    defer { BIO_free(source) }
    guard let key = PEM_read_bio_PUBKEY(source, nil, nil, nil) else { return nil }
    defer { EVP_PKEY_free(key) }
    guard let context = EVP_PKEY_CTX_new(key, nil) else { return nil }
    defer { EVP_PKEY_CTX_free(context) }
    var length = 0
    guard EVP_PKEY_encrypt_init(context) == 1,
      EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1,
      EVP_PKEY_encrypt(context, nil, &length, self, self.count) == 1
    else { return nil }
    var result = [UInt8](repeating: 0, count: length)
    guard EVP_PKEY_encrypt(context, &result, &length, self, self.count) == 1 else { return nil }
    return Array(result.prefix(length))
  }
}

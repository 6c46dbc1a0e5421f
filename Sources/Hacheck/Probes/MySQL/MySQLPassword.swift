internal import SmartStack

/// The ways to prove a password to a MySQL server that this client knows.
enum MySQLPlugin: String {
  case native = "mysql_native_password"
  case cachingSHA2 = "caching_sha2_password"

  /// What proves the password without telling it; nothing at all for no password.
  ///
  /// `SHA1(password) ⊕ SHA1(salt + SHA1(SHA1(password)))`, and
  /// `SHA256(password) ⊕ SHA256(SHA256(SHA256(password)) + salt)`.
  /// - Throws: a result that says that OpenSSL refuses the hash function.
  func scramble(_ password: String, salt: [UInt8]) throws(ProbeResult) -> [UInt8] {
    guard !password.isEmpty else { return [] }
    let once = try hash(Array(password.utf8))
    let twice = try hash(once)
    let mask =
      switch self {
      case .native: try hash(salt + twice)
      case .cachingSHA2: try hash(twice + salt)
      }
    return zip(once, mask).map { $0 ^ $1 }
  }

  private func hash(_ message: [UInt8]) throws(ProbeResult) -> [UInt8] {
    guard let digest = (self == .native ? MessageDigest.sha1 : .sha256).hashIfAllowed(message) else {
      throw .notUnderstood("\(rawValue) needs a hash function that this machine's OpenSSL is set up to refuse")
    }
    return digest
  }

  /// The password as a server of `caching_sha2_password` reads it that has not seen it lately: with a zero at
  /// its end, masked with the salt over and over, under the server's key.
  static func encrypted(_ password: String, salt: [UInt8], key: [UInt8]) throws(ProbeResult) -> [UInt8] {
    let masked = (Array(password.utf8) + [0]).enumerated().map { $1 ^ salt[$0 % salt.count] }
    guard let result = masked.encryptedRSA(forKey: key) else {
      throw .notUnderstood("the MySQL server's public key is not an RSA key that fits the password")
    }
    return result
  }
}

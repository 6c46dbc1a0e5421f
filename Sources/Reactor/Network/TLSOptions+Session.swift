internal import CEvent
internal import Glibc
internal import SmartStack

/// OpenSSL for client streams: contexts made once, sessions made per stream.
extension TLSOptions {
  @LoopActor private static var contexts: [Bool: OpaquePointer] = [:]

  /// A client session. The caller owns it (a bufferevent usually takes it over).
  @LoopActor func makeSession(for endpoint: Endpoint) throws(StreamError) -> OpaquePointer {
    let context = try context(for: endpoint)
    defer { SSL_CTX_free(context) }
    guard let session = SSL_new(context) else { throw StreamError.failed(endpoint, reason: TLSOptions.nextError()) }
    var name = serverName ?? ""
    if serverName == nil, case .tcp(let host, _) = endpoint { name = host }
    if serverName != nil, IPAddress(name) == nil { _ = smartstack_ssl_set_host_name(session, name) }
    if verify {
      SSL_set_verify(session, SSL_VERIFY_PEER, nil)
      let isAccepted =
        IPAddress(name) != nil
        ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), name) : SSL_set1_host(session, name)
      guard isAccepted == 1 else {
        SSL_free(session)
        throw StreamError.failed(endpoint, reason: "\(name) is not a name that a certificate can be checked for")
      }
    }
    return session
  }

  /// Why a handshake or a connection failed, from OpenSSL's queue and the verification's result.
  static func describeFailure(of session: OpaquePointer?, code: UInt) -> String {
    if let session, SSL_get_verify_mode(session) != SSL_VERIFY_NONE {
      let result = SSL_get_verify_result(session)
      if result != Int(X509_V_OK) {
        return "the certificate is not valid: " + String(cString: X509_verify_cert_error_string(result))
      }
    }
    guard code != 0, let text = ERR_reason_error_string(code) else { return "TLS failure" }
    return "TLS failure: " + String(cString: text)
  }

  /// One more reference to a shared context, or a fresh one when files belong to it: their present content counts.
  @LoopActor private func context(for endpoint: Endpoint) throws(StreamError) -> OpaquePointer {
    if (verify && authorityFile != nil) || certificateFile != nil {
      let context = try newContext(for: endpoint)
      if let problem = loadFiles(into: context) {
        SSL_CTX_free(context)
        throw StreamError.failed(endpoint, reason: problem)
      }
      return context
    }
    if TLSOptions.contexts[verify] == nil {
      let context = try newContext(for: endpoint)
      if verify { SSL_CTX_set_default_verify_paths(context) }
      TLSOptions.contexts[verify] = context
    }
    guard let shared = TLSOptions.contexts[verify] else { throw StreamError.failed(endpoint, reason: "no context") }
    SSL_CTX_up_ref(shared)
    return shared
  }

  /// - Returns: what is wrong with a file; nil: nothing.
  private func loadFiles(into context: OpaquePointer) -> String? {
    if verify {
      if let file = authorityFile {
        guard SSL_CTX_load_verify_locations(context, file, nil) == 1 else {
          return "cannot read authorities from \(file): \(TLSOptions.nextError())"
        }
      } else {
        SSL_CTX_set_default_verify_paths(context)
      }
    }
    guard let certificateFile else { return nil }
    guard SSL_CTX_use_certificate_chain_file(context, certificateFile) == 1 else {
      return "cannot read a certificate from \(certificateFile): \(TLSOptions.nextError())"
    }
    let key = keyFile ?? certificateFile
    guard SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) == 1 else {
      return "cannot use the key in \(key): \(TLSOptions.nextError())"
    }
    return nil
  }

  private func newContext(for endpoint: Endpoint) throws(StreamError) -> OpaquePointer {
    guard let context = SSL_CTX_new(TLS_client_method()) else {
      throw StreamError.failed(endpoint, reason: TLSOptions.nextError())
    }
    // Servers that close without a goodbye are common; length or chunking tells whether an answer is whole.
    SSL_CTX_set_options(context, UInt64(1) << 7)  // SSL_OP_IGNORE_UNEXPECTED_EOF, a macro Swift cannot see
    return context
  }

  private static func nextError() -> String {
    let code = ERR_get_error()
    ERR_clear_error()
    // The system's errors have a bit of their own, and no text.
    if code & 0x8000_0000 != 0 { return errorText(Int32(code & 0x7fff_ffff)) }
    guard let text = ERR_reason_error_string(code) else { return "OpenSSL gave no reason" }
    return String(cString: text)
  }
}

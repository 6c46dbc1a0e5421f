internal import Reactor
internal import SmartStack

/// Sends signed requests to one of Amazon's services.
@LoopActor final class AWSClient {
  /// A metadata service replaces credentials at least five minutes before they expire.
  private static let credentialsAge: Duration = .seconds(240)

  private let service: AWSService
  private let clock: LoopClock
  /// Of the instance's profile, and when they were read.
  private var profile: (credentials: AWSCredentials, time: LoopClock.Instant)?

  init(_ service: AWSService, clock: LoopClock) {
    self.service = service
    self.clock = clock
  }

  /// One whole answer.
  /// - Parameters:
  ///   - path: escaped.
  ///   - form: the fields of a `POST`; nil: a `GET`.
  /// - Throws: as ``RegistryAnswer``.
  func bytes(path: String = "/", form: [(name: String, value: String)]? = nil) async throws -> [UInt8] {
    let credentials = try await credentials()
    do {
      return try await RegistryAnswer.bytes(request(path: path, form: form, by: credentials))
    } catch let error as RegistryError {
      // The profile may have another role now.
      if case .status(400...403, _) = error { profile = nil }
      throw error
    }
  }

  /// A request that the account's owner has signed.
  func request(
    path: String, form: [(name: String, value: String)]?, by credentials: AWSCredentials
  ) -> HTTPRequest {
    let address = service.address
    let body = (form ?? []).map { "\($0.name)=\($0.value.percentEncoded())" }.joined(separator: "&")
    var headers = ["host": address.endpoint.description]
    if case .tcp(let name, let port) = address.endpoint, port == (address.tls == nil ? 80 : 443) {
      headers["host"] = name
    }
    if form != nil { headers["content-type"] = "application/x-www-form-urlencoded; charset=utf-8" }
    let method = form == nil ? "GET" : "POST"
    let signature = RequestSignature(credentials: credentials, region: service.region, service: service.name)
    return HTTPRequest(
      method: method, endpoint: address.endpoint, tls: address.tls, target: path,
      headers: signature.headers(
        method: method, path: path, headers: headers, body: Array(body.utf8), unixTime: clock.unixTime),
      body: Array(body.utf8))
  }

  private func credentials() async throws -> AWSCredentials {
    if let fixed = service.credentials { return fixed }
    if let profile, clock.now - profile.time < AWSClient.credentialsAge { return profile.credentials }
    do {
      let found = try await profileCredentials()
      profile = (found, clock.now)
      return found
    } catch {
      throw OperatorError(
        "no credentials: neither the configuration nor the environment has any, and the instance's metadata service at "
          + "\(service.metadata) gives none: \(error)")
    }
  }

  /// Those of the instance's profile, by version 2 of the metadata service: a token, the role's name, its keys.
  private func profileCredentials() async throws -> AWSCredentials {
    let token = try await metadata(
      "/latest/api/token", method: "PUT", header: "X-aws-ec2-metadata-token-ttl-seconds", value: "60")
    let header = "X-aws-ec2-metadata-token"
    let value = String(decoding: token, as: UTF8.self).firstLine() ?? ""
    let roles = "/latest/meta-data/iam/security-credentials/"
    let list = try await metadata(roles, header: header, value: value)
    guard let role = String(decoding: list, as: UTF8.self).firstLine() else {
      throw OperatorError("the instance has no profile")
    }
    let keys = JSONValue(try await metadata(roles + role.percentEncoded(), header: header, value: value))
    guard let keyID = keys?["AccessKeyId"]?.string, let secret = keys?["SecretAccessKey"]?.string else {
      throw OperatorError("the role \(role) has no keys")
    }
    return AWSCredentials(keyID: keyID, secret: secret, sessionToken: keys?["Token"]?.string)
  }

  private func metadata(
    _ path: String, method: String = "GET", header: String, value: String
  ) async throws -> [UInt8] {
    try await RegistryAnswer.bytes(
      HTTPRequest(
        method: method, endpoint: service.metadata.endpoint, tls: service.metadata.tls, target: path,
        headers: [HTTPHeader(name: header, value: value)]), patience: .seconds(2))
  }
}

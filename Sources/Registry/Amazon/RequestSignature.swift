internal import Reactor
internal import SmartStack

/// A request to an Amazon service, signed as its "Signature Version 4" asks for: a fixed text of the request, keyed with
/// the secret, the day, the region and the service.
struct RequestSignature {
  let credentials: AWSCredentials
  let region: String
  let service: String

  /// - Parameters:
  ///   - path: escaped.
  ///   - query: in canonical form: sorted, escaped.
  ///   - headers: all that are to be signed, names in lower case, `host` among them.
  ///   - unixTime: the moment of the request; the service refuses one that is minutes away from its own.
  /// - Returns: the headers to send, those given included.
  func headers(
    method: String, path: String = "/", query: String = "", headers: [String: String], body: [UInt8], unixTime: Double
  ) -> [HTTPHeader] {
    let moment = RequestSignature.moment(unixTime)
    let day = String(moment.prefix(8))
    var signed = headers
    signed["x-amz-date"] = moment
    let bodyDigest = MessageDigest.sha256.hash(body).hexadecimal
    if service == "s3" { signed["x-amz-content-sha256"] = bodyDigest }
    if let token = credentials.sessionToken { signed["x-amz-security-token"] = token }
    let names = signed.keys.sorted()
    let lines = names.map { "\($0):\(signed[$0] ?? "")\n" }.joined()
    let nameList = names.joined(separator: ";")
    let canonical = [method, path, query, lines, nameList, bodyDigest].joined(separator: "\n")
    let scope = "\(day)/\(region)/\(service)/aws4_request"
    let digest = MessageDigest.sha256.hash(canonical.utf8).hexadecimal
    var key = Array("AWS4\(credentials.secret)".utf8)
    for part in [day, region, service, "aws4_request"] {
      key = MessageDigest.sha256.authenticate(Array(part.utf8), key: key)
    }
    let text = "AWS4-HMAC-SHA256\n\(moment)\n\(scope)\n\(digest)"
    let signature = MessageDigest.sha256.authenticate(Array(text.utf8), key: key).hexadecimal
    let authorization =
      "AWS4-HMAC-SHA256 Credential=\(credentials.keyID)/\(scope), SignedHeaders=\(nameList), Signature=\(signature)"
    return names.map { HTTPHeader(name: $0, value: signed[$0] ?? "") }
      + [HTTPHeader(name: "authorization", value: authorization)]
  }

  /// A moment in the form `20150830T123600Z`.
  static func moment(_ unixTime: Double) -> String { unixTime.date("%Y%m%dT%H%M%SZ") ?? "" }
}

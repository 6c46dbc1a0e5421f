/// What a check found, as an answer over HTTP.
struct CheckOutcome: Equatable, Sendable {
  /// As in HTTP; 599 when the service could not be asked.
  let code: Int
  let body: [UInt8]
  /// False when this host could not ask: nothing is known of the service, and the answer is not kept.
  var isConclusive = true
}

extension CheckOutcome {
  init(code: Int, _ sentence: String) { self.init(code: code, body: Array(sentence.utf8)) }

  /// The answer to a question about the service under a downtime.
  init(_ downtime: Downtime) { self.init(code: 503, downtime.downText) }

  /// The answer for a service without a downtime, asked for its downtimes only.
  static let up = CheckOutcome(code: 200, body: [])

  /// The status to answer with: a code that has no name in HTTP is 503.
  var status: Int {
    if code <= 200 { return 200 }
    return CheckOutcome.known.contains(code) ? code : 503
  }

  /// The codes that Python's `http.client` knows; upstream passes on exactly these.
  private static let known: Set<Int> = Set(
    [
      201...208, 226...226, 300...305, 307...308, 400...418, 421...426, 428...429, 431...431, 451...451, 500...508,
      510...511,
    ]
    .joined())
}

/// Lines that HAProxy refused, by where they came from.
struct Refusals: Sendable {
  private var refused: [LineOrigin: (text: String, message: String)] = [:]

  /// - Returns: whether this is news.
  mutating func add(_ origin: LineOrigin, text: String, message: String) -> Bool {
    if refused[origin]?.text == text { return false }
    refused[origin] = (text, message)
    return true
  }

  /// HAProxy's words, if it refused this very text.
  func message(_ origin: LineOrigin, text: String) -> String? {
    guard !refused.isEmpty, let refusal = refused[origin], refusal.text == text else { return nil }
    return refusal.message
  }

  /// HAProxy's words, if it refused the service as a whole.
  func message(service: String) -> String? { refused[.service(service, .backend, nil)]?.message }

  /// Gives a service another chance after its settings changed.
  mutating func forget(service: String) {
    refused = refused.filter { $0.key.service != service }
  }

  /// Forgets servers of a service that are not known any more.
  mutating func forget(service: String, butServers known: (String) -> Bool) {
    guard !refused.isEmpty else { return }
    refused = refused.filter {
      if case .server(service, let name) = $0.key { known(name) } else { true }
    }
  }
}

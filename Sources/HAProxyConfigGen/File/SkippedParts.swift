/// Parts of the configuration that are skipped because of what others say: HAProxy, other parts, the host.
struct SkippedParts: Sendable {
  /// Lines and whole units that HAProxy refused, with the text that it refused; a unit's text is empty.
  private var refused: [LineOrigin: (text: String, message: String)] = [:]
  /// Units whose address another one has.
  var conflicts: [LineOrigin: ConfigProblem] = [:]
  /// Units whose address this host cannot listen on, and why.
  var unbindable: [LineOrigin: String] = [:]

  /// Records what HAProxy refused.
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

  /// Why a service or a section is skipped as a whole; nil: it is not.
  func problem(of unit: LineOrigin) -> ConfigProblem? {
    if let conflict = conflicts[unit] { return conflict }
    if let reason = unbindable[unit] {
      return ConfigProblem(.badService, at: unit, message: "\(reason); it is skipped until this host can listen there")
    }
    return refusal(of: unit)
  }

  /// Why HAProxy refuses a service or a section as a whole; nil: it does not.
  func refusal(of unit: LineOrigin) -> ConfigProblem? {
    message(unit, text: "").map { ConfigProblem(.badService, at: unit, message: "HAProxy refuses it: \($0)") }
  }

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

/// Parts of the configuration that are skipped because of what others say: HAProxy, other parts, the host.
struct SkippedParts: Sendable {
  /// A line or unit that HAProxy refused.
  struct Refusal: Hashable, Sendable {
    /// The line; empty for a service or section that is refused as a whole.
    var text = ""
    /// HAProxy's words about it.
    var message: String
    /// Where the refused text stands.
    var place: LineOrigin
  }

  /// By line or unit.
  private(set) var refused: [LineOrigin: Refusal] = [:]
  /// Units whose address another one has.
  var conflicts: [LineOrigin: ConfigProblem] = [:]
  /// Units whose address this host cannot listen on, and why.
  var unbindable: [LineOrigin: String] = [:]

  /// Records what HAProxy refused.
  /// - Returns: whether this is news.
  mutating func add(_ refusal: Refusal, of part: LineOrigin) -> Bool {
    if refused[part]?.text == refusal.text { return false }
    refused[part] = refusal
    return true
  }

  /// HAProxy's words, if it refused this very text.
  func message(_ origin: LineOrigin, text: @autoclosure () -> String) -> String? {
    guard !refused.isEmpty, let refusal = refused[origin], refusal.text == text() else { return nil }
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
    guard !refused.isEmpty, let refusal = refused[unit], refusal.text.isEmpty else { return nil }
    return ConfigProblem(
      .badService, at: refusal.place, message: "skipped, as HAProxy refuses it: \(refusal.message)")
  }

  // MARK: Another chance

  /// The texts that HAProxy refused, each with its words.
  var texts: Set<String> { Set(refused.values.lazy.map { "\($0.text) \($0.message)" }) }

  /// Replaces what HAProxy refused by what it refused of another model with the same settings.
  /// - Returns: whether anything is different.
  mutating func adoptRefusals(of other: SkippedParts) -> Bool {
    if refused == other.refused { return false }
    refused = other.refused
    return true
  }

  /// Forgets everything that HAProxy refused.
  mutating func forgetRefusals() { refused = [:] }

  /// Gives a service another chance after its settings changed.
  mutating func forget(service: String) {
    refused = refused.filter { $0.key.service != service }
  }

  mutating func forget(service: String, butServers known: (String) -> Bool) {
    guard !refused.isEmpty else { return }
    refused = refused.filter {
      if case .server(service, let name) = $0.key { known(name) } else { true }
    }
  }

  /// Gives what waited for servers or backends another chance, once these are there.
  /// - Returns: whether anything was refused because of them.
  mutating func forget(mentioning names: @autoclosure () -> Set<String>) -> Bool {
    guard !refused.isEmpty else { return false }
    let names = names()
    if names.isEmpty { return false }
    let count = refused.count
    refused = refused.filter { part, refusal in
      if case .server = part { return true }
      return (refusal.text + " " + refusal.message).names.allSatisfy { !names.contains($0) }
    }
    return refused.count != count
  }
}

extension String {
  /// The words of letters, digits and `-_.:`, as names have them.
  var names: [String] {
    split { character in
      !(character.isASCII && (character.isLetter || character.isNumber || "-_.:".contains(character)))
    }
    .map { $0.last == "." || $0.last == ":" ? String($0.dropLast()) : String($0) }
  }
}

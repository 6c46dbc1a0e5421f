internal import SmartStack

/// Decides which backends may become `server` lines, and keeps the verdicts on options: registrations'
/// options are nearly always the same few texts.
struct ServerValidator: Sendable {
  private var known: [String: Result<RegistrationOptions, ServerProblem>] = [:]
  private static let limit = 1000

  /// Checks everything of a backend that reaches the file.
  /// - Returns: the id the registration or the configuration prescribes.
  mutating func admit(_ backend: Backend) throws(ServerProblem) -> Int? {
    guard backend.host.isHost else {
      throw ServerProblem(subject: backend.host.quoted, reason: "is neither an address nor a host name")
    }
    guard (1...65_535).contains(backend.port) else {
      throw ServerProblem(subject: "port \(backend.port)", reason: "is outside 1...65535")
    }
    guard ServerText.isName(backend.serverName) else {
      throw ServerProblem(subject: "its name", reason: "has other characters than letters, digits and -_.:")
    }
    let prescribed = backend.haproxyServerID.flatMap { (1...2_147_483_647).contains($0) ? $0 : nil }
    guard let text = backend.haproxyServerOptions else { return prescribed }
    return try options(text).id ?? prescribed
  }

  /// Whether the backend may become a `server` line.
  mutating func admits(_ backend: Backend) -> Bool {
    do throws(ServerProblem) { _ = try admit(backend) } catch { return false }
    return true
  }

  mutating func options(_ text: String) throws(ServerProblem) -> RegistrationOptions {
    if let result = known[text] { return try result.get() }
    if known.count >= ServerValidator.limit { known = [:] }
    let result: Result<RegistrationOptions, ServerProblem>
    do throws(ServerProblem) {
      result = .success(try RegistrationOptions(untrusted: text))
    } catch {
      result = .failure(error)
    }
    known[text] = result
    return try result.get()
  }
}

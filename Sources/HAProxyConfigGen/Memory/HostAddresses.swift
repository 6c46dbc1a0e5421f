internal import SmartStack

/// The addresses of hosts that are names, as far as they are known: HAProxy never gets a name, because it would stand
/// still for each one that no name server answers for.
struct HostAddresses: Sendable {
  private var known: [String: String] = [:]
  /// Why a name has no address.
  private var failures: [String: String] = [:]
  /// What servers run with whose host may be a name, by service and server, until the name is looked up.
  private var running: [String: [String: String]] = [:]

  /// Whether `host` has to be looked up.
  static func isName(_ host: String) -> Bool { IPAddress(host) == nil }

  /// Records the outcome of a look-up. A failure does not replace an address.
  /// - Returns: whether anything is different now.
  mutating func record(_ outcome: Result<String, OperatorError>, of name: String) -> Bool {
    switch outcome {
    case .success(let address):
      failures[name] = nil
      return known.updateValue(address, forKey: name) != address
    case .failure(let error):
      if known[name] != nil { return false }
      return failures.updateValue(error.description, forKey: name) != error.description
    }
  }

  /// Records the addresses of running servers, by name: of those whose host is not that address.
  mutating func record(running addresses: [String: String], of service: String) {
    running[service] = addresses.filter { name, address in
      let host = name.utf8[..<(name.utf8.lastIndex(of: UInt8(ascii: ":")) ?? name.endIndex)]
      let front = host.dropLast(address.utf8.count)
      return !host.suffix(address.utf8.count).elementsEqual(address.utf8)
        || front.last.map { $0 != UInt8(ascii: "_") } ?? false
    }
  }

  /// Forgets all names but these.
  mutating func keep(_ names: Set<String>) {
    known = known.filter { names.contains($0.key) }
    failures = failures.filter { names.contains($0.key) }
  }

  /// The backend as HAProxy may have it; nil: its host is a name without an address.
  func resolved(_ backend: Backend, of service: String) -> Backend? {
    guard HostAddresses.isName(backend.host) else { return backend }
    guard let address = known[backend.host] ?? running[service]?[backend.serverName] else { return nil }
    var backend = backend
    backend.host = address
    return backend
  }

  /// Why a name has no address.
  func problem(of name: String) -> String {
    "skipped: the address of its host \(name.quoted) is not known yet" + (failures[name].map { ": \($0)" } ?? "")
  }
}

/// What to do so that a running HAProxy serves what is wanted.
public enum Plan: Hashable, Sendable {
  /// HAProxy serves it already.
  case nothing
  /// These commands, in this order. A refusal of one that is not optional means: reload.
  case commands([RuntimeCommand])
  /// The file must be loaded anew. `meanwhile` is what commands can do until then (reloads are
  /// rate-limited; a server that left must not wait for one).
  case reload(because: [ReloadReason], meanwhile: [RuntimeCommand])
}

/// Why commands are not enough.
public enum ReloadReason: Hashable, Sendable, CustomStringConvertible {
  /// Nothing is known of the file HAProxy has loaded.
  case unknownConfiguration
  /// A section that HAProxy has not loaded.
  case sectionAdded(String)
  /// A section that HAProxy still has.
  case sectionRemoved(String)
  /// A section whose lines differ.
  case sectionChanged(String)
  /// A server that no command can bring to what is wanted.
  case server(backend: String, server: String, ServerReloadReason)

  /// One clause for the log.
  public var description: String {
    switch self {
    case .unknownConfiguration: "it is not known which configuration HAProxy has loaded"
    case .sectionAdded(let name): "section `\(name)` is new"
    case .sectionRemoved(let name): "section `\(name)` was removed"
    case .sectionChanged(let name): "section `\(name)` has changed"
    case .server(let backend, let server, let reason): "server \(backend)/\(server): \(reason)"
    }
  }
}

/// Why no command can bring a server to what is wanted.
public enum ServerReloadReason: Error, Hashable, Sendable, CustomStringConvertible {
  /// It runs with other options than the file's.
  case optionsChanged
  /// It runs with another id than the file's.
  case idChanged
  /// Its id belongs to a server that has left but is still in HAProxy's memory.
  case idTaken(by: String)
  /// HAProxy resolves host names only when it reads its file.
  case hostName(String)
  /// `add server` does not know this keyword.
  case keyword(String)
  /// The line has characters or a length that the socket's commands do not take.
  case unquotable
  /// The balance algorithm has a fixed set of servers and weights.
  case staticBalance(String)
  /// This HAProxy has no `add server`.
  case version(HAProxyVersion)

  /// One clause for the log.
  public var description: String {
    switch self {
    case .optionsChanged: "its options have changed"
    case .idChanged: "its id has changed"
    case .idTaken(let other): "its id still belongs to \(other)"
    case .hostName(let host): "\(host) is a name, which HAProxy resolves only when it loads its file"
    case .keyword(let keyword): "`\(keyword)` cannot be given to a server at run time"
    case .unquotable: "its line cannot be given as a command"
    case .staticBalance(let algorithm): "balance \(algorithm) takes no changes at run time"
    case .version(let version): "HAProxy \(version) cannot add servers at run time"
    }
  }
}

internal import SmartStack

/// Where the services that run on this host are listed.
enum ServicesSource: Hashable, Sendable, CustomStringConvertible {
  /// The Mesos agent, and soa-configs for what its tasks are registered as. nil asks the agent of this host; a URL
  /// that ends in `/api/v1` is asked through the operator API.
  case mesos(url: String?)
  /// A directory with one file per service, whose namespaces all run here: `{"namespaces": ["main"]}`.
  case directory(String)
  /// A program that prints the list, such as `paasta_dump_locally_running_services`.
  case command([String])
  /// A file that holds the list.
  case file(String)

  /// The sources that upstream queries.
  static let usual: [ServicesSource] = [.mesos(url: nil), .directory("/etc/nerve/puppet_services.d")]

  /// Reads `mesos`, `mesos:URL`, `static:DIR`, `command:PROGRAM ARG…` or `file:PATH`; nil for anything else.
  init?(_ text: String) {
    if text == "mesos" {
      self = .mesos(url: nil)
      return
    }
    guard let colon = text.firstIndex(of: ":") else { return nil }
    let rest = String(text[text.index(after: colon)...])
    guard !rest.isEmpty else { return nil }
    switch text[..<colon] {
    case "mesos": self = .mesos(url: rest)
    case "static": self = .directory(rest)
    case "file": self = .file(rest)
    case "command":
      let words = rest.split(separator: " ").map(String.init)
      guard !words.isEmpty else { return nil }
      self = .command(words)
    default: return nil
    }
  }

  /// The place in messages about what it gives.
  var fileName: String { if case .file(let path) = self { path } else { description } }

  /// As on the command line.
  var description: String {
    switch self {
    case .mesos(let url): url.map { "mesos:\($0)" } ?? "mesos"
    case .directory(let path): "static:\(path)"
    case .command(let words): "command:\(words.joined(separator: " "))"
    case .file(let path): "file:\(path)"
    }
  }
}

extension ServicesSource {
  /// The error of a source that could not be read at all. An empty list in its place would deregister the host.
  /// - Parameter problem: what happened and what to do.
  func failure(_ problem: String) -> OperatorError { OperatorError("\(self): \(problem)") }
}

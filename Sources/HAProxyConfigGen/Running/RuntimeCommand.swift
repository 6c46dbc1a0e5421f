/// One change in a running HAProxy, as its stats socket takes it.
public enum RuntimeCommand: Hashable, Sendable {
  /// `add server B/S HOST:PORT OPTIONS`; the server starts in maintenance, unchecked.
  case addServer(ServerPath, address: String, options: [String])
  /// `set server B/S state ready`: traffic as the server's checks allow.
  case setReady(ServerPath)
  /// `set server B/S state maint`: neither traffic nor checks.
  case setMaintenance(ServerPath)
  /// `set server B/S weight N`, 0…256.
  case setWeight(ServerPath, Int)
  /// `set server B/S addr HOST port PORT`; HAProxy resolves no names here.
  case setAddress(ServerPath, host: String, port: Int)
  /// `enable health B/S`, which starts the checks that `add server … check` only configures.
  case enableHealth(ServerPath)
  /// `enable agent B/S`, likewise for agent checks.
  case enableAgent(ServerPath)
  /// `del server B/S`, which HAProxy refuses while the server has connections.
  case deleteServer(ServerPath, isOptional: Bool)
  /// `enable frontend F`, which ends `disable frontend F`.
  case enableFrontend(String)

  /// The server that the command changes; nil: none.
  public var path: ServerPath? {
    switch self {
    case .addServer(let path, _, _), .setReady(let path), .setMaintenance(let path), .setWeight(let path, _),
      .setAddress(let path, _, _),
      .enableHealth(let path), .enableAgent(let path), .deleteServer(let path, _):
      path
    case .enableFrontend: nil
    }
  }

  /// The command's words, none of which may hold a blank or what separates commands.
  public var words: [String] {
    switch self {
    case .addServer(let path, let address, let options): ["add", "server", path.description, address] + options
    case .setReady(let path): ["set", "server", path.description, "state", "ready"]
    case .setMaintenance(let path): ["set", "server", path.description, "state", "maint"]
    case .setWeight(let path, let weight): ["set", "server", path.description, "weight", String(weight)]
    case .setAddress(let path, let host, let port):
      ["set", "server", path.description, "addr", host, "port", String(port)]
    case .enableHealth(let path): ["enable", "health", path.description]
    case .enableAgent(let path): ["enable", "agent", path.description]
    case .deleteServer(let path, _): ["del", "server", path.description]
    case .enableFrontend(let name): ["enable", "frontend", name]
    }
  }

  /// One line without its end.
  public var text: String { words.joined(separator: " ") }

  /// Whether HAProxy gets a server that its file may not have.
  public var isAddition: Bool { if case .addServer = self { true } else { false } }

  /// Whether the plan holds without it: a server that still has connections is deleted later.
  public var isOptional: Bool { if case .deleteServer(_, let isOptional) = self { isOptional } else { false } }

  /// Whether a server has to be deleted for the commands behind it.
  public var isRequiredDeletion: Bool { if case .deleteServer(_, isOptional: false) = self { true } else { false } }

  /// Whether `reply` means that HAProxy obeyed: nothing but blanks, or the acknowledgement of the command.
  public func accepts(reply: String) -> Bool {
    let words = reply.drop { $0.isWhitespace }
    return words.isEmpty || acknowledgements.contains { words.hasPrefix($0) }
  }

  /// The beginnings of replies that are not empty and yet mean success.
  private var acknowledgements: [String] {
    switch self {
    case .addServer: ["New server registered"]
    case .setAddress: ["IP changed", "port changed", "no need to change"]
    case .deleteServer: ["Server deleted"]
    case .setReady, .setMaintenance, .setWeight, .enableHealth, .enableAgent, .enableFrontend: []
    }
  }
}

/// A server's name within a running HAProxy.
public struct ServerPath: Hashable, Sendable, CustomStringConvertible {
  /// The name of the backend section.
  public var backend: String
  /// The name on the `server` line.
  public var server: String

  /// `BACKEND/SERVER`, as commands name it.
  public var description: String { "\(backend)/\(server)" }
}

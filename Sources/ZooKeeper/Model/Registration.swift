internal import SmartStack

/// How long a node lives and who chooses its name.
public enum NodeMode: String, Hashable, Sendable, CaseIterable {
  /// Goes with the session that made it.
  case ephemeral
  /// Like the mode before, and ZooKeeper appends ten digits to the name.
  case ephemeralSequential
  /// Stays until it is deleted.
  case persistent
  /// Like the mode before, and ZooKeeper appends ten digits to the name.
  case persistentSequential

  /// Whether ZooKeeper appends ten digits.
  public var isSequential: Bool { self == .ephemeralSequential || self == .persistentSequential }
  /// Whether the node goes with its session.
  public var isEphemeral: Bool { self == .ephemeral || self == .ephemeralSequential }
}

/// State of a registration.
public enum NodeState: Hashable, Sendable {
  /// Not there, or not known to be there; being worked on.
  case pending
  /// There, at this path (with its digits, for the sequential modes).
  case registered(path: String)
  /// Refused; tried again at growing intervals.
  case failed(ZooKeeperError)
  /// Withdrawn and gone, or the client is closed; final.
  case withdrawn
}

/// A node that ought to exist.
public struct Registration: Hashable, Sendable {
  /// The parent's absolute path without a trailing slash; made when it is missing.
  public var directory: String
  /// The node's name; for the sequential modes what stands before the digits (`web1_`).
  public var name: String
  /// The node's data, at most one megabyte less a few bytes.
  public var data: [UInt8]
  /// The kind of the node.
  public var mode: NodeMode

  /// Creates a registration of one node.
  public init(directory: String, name: String, data: [UInt8], mode: NodeMode = .ephemeralSequential) {
    self.directory = directory
    self.name = name
    self.data = data
    self.mode = mode
  }

  /// The node's path; for the sequential modes without the digits.
  public var path: String { directory == "/" ? "/" + name : directory + "/" + name }

  /// Whether `child` is `name` followed by the ten digits of the sequential modes (a counter that has
  /// run over is a minus sign and digits).
  static func isSequel(_ child: String, of name: String) -> Bool {
    let (child, name) = (child.utf8, name.utf8)
    guard child.count >= name.count + 10, child.starts(with: name) else { return false }
    let digits = child.dropFirst(name.count)
    let isNegative = digits.first == UInt8(ascii: "-")
    guard digits.count == 10 || (isNegative && digits.count == 11) else { return false }
    return digits.dropFirst(isNegative ? 1 : 0).allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
  }
}

/// A session that another process, or this one after `exec`, may carry on within the session timeout.
///
/// Whoever knows it owns the session's nodes: keep the file that holds it readable by the agent only.
public struct SavedSession: Hashable, Sendable {
  /// ZooKeeper's number of the session.
  public var id: Int64
  /// The 16 bytes that prove it.
  public var password: [UInt8]
}

extension SavedSession {
  /// Reads ``text`` back; nil when it is something else.
  public init?(text: String) {
    let parts = text.split(separator: ":")
    guard parts.count == 2, let id = UInt64(parts[0], radix: 16), parts[1].utf8.count == 32 else { return nil }
    var password: [UInt8] = []
    var rest = parts[1]
    while !rest.isEmpty {
      guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
      password.append(byte)
      rest = rest.dropFirst(2)
    }
    self.init(id: Int64(bitPattern: id), password: password)
  }

  /// The id as ZooKeeper's own log has it.
  var number: String { "0x" + String(UInt64(bitPattern: id), radix: 16) }

  /// One line to keep in a file: `<id>:<password>`, both hexadecimal.
  public var text: String {
    String(UInt64(bitPattern: id), radix: 16) + ":" + password.hexadecimal
  }
}

/// Who we are to ZooKeeper, and what others may do with the nodes we make.
public struct ZooKeeperCredentials: Hashable, Sendable {
  /// The scheme, for example `digest`.
  public var scheme: String
  /// The secret; for `digest` it is `user:password`.
  public var secret: String
  /// Whether nodes made by this client may be changed by this identity only (everybody may still read
  /// them); otherwise anybody may do anything, as upstream's agents have it.
  public var protectsNodes: Bool

  /// Creates the credentials of one user.
  public init(scheme: String = "digest", secret: String, protectsNodes: Bool = false) {
    self.scheme = scheme
    self.secret = secret
    self.protectsNodes = protectsNodes
  }
}

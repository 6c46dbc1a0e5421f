/// Why ZooKeeper, or the way to it, refused a request.
public struct ZooKeeperError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kinds of refusal that callers tell apart.
  public enum Code: Hashable, Sendable {
    /// The connection broke before the answer came: the request may or may not have been carried out.
    case connectionLoss
    /// The session is gone, and with it every ephemeral node and watch.
    case sessionExpired
    /// This client was closed or abandoned.
    case closed
    /// The node, or for a create its parent, does not exist.
    case noNode
    /// The node exists already.
    case nodeExists
    /// The node has children.
    case notEmpty
    /// The node's version is another one.
    case badVersion
    /// The access control list does not let this client do it.
    case noAuth
    /// The server did not accept the credentials.
    case authFailed
    /// An ephemeral node cannot have children.
    case noChildrenForEphemerals
    /// The path or the data is not what ZooKeeper takes.
    case badArguments
    /// None of the servers' names has an address.
    case unreachable
    /// Any other code of libzookeeper, as it stands.
    case other(Int32)
  }

  /// The code of the failure.
  public var code: Code
  /// The verb: `create`, `delete`, `read`, `list`, `connect` …
  public var operation: String
  /// The node, or the connection string when no node is involved.
  public var path: String

  /// One sentence for an operator.
  public var description: String { "ZooKeeper refused \(operation) \(path): \(code.words)" }
}

extension ZooKeeperError.Code {
  var words: String {
    switch self {
    case .connectionLoss: "the connection was lost before the answer came"
    case .sessionExpired: "the session has expired"
    case .closed: "the client is closed"
    case .noNode: "no such node"
    case .nodeExists: "the node exists already"
    case .notEmpty: "the node has children"
    case .badVersion: "the node has changed meanwhile"
    case .noAuth: "not permitted by the node's access control list"
    case .authFailed: "the credentials were not accepted"
    case .noChildrenForEphemerals: "the parent is an ephemeral node, which cannot have children"
    case .badArguments: "the path or the data is not valid"
    case .unreachable: "none of the names has an address"
    case .other(let number): "error \(number)"
    }
  }
}

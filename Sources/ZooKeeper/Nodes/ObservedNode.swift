/// What a session is known to hold for one registration.
enum ObservedNode: Hashable {
  /// No node: every create of this session is accounted for.
  case nothing
  /// Perhaps a node: a create was not answered, or the session is older than this process.
  case unknown
  /// This node, with the version and the bytes that are there; nil when others may have written.
  case node(path: String, version: Int32, data: [UInt8]?)

  /// The node's path, if it is known.
  var path: String? { if case .node(let path, _, _) = self { path } else { nil } }
}

/// Work of a wanted node's loop besides creating or deleting the node.
struct NodeDuties: OptionSet {
  let rawValue: UInt8
  /// Ask the server about the held node: a watch fired, or the slow timer did.
  static let check = NodeDuties(rawValue: 1)
  /// Create the node again: the watch said that it was deleted.
  static let recreate = NodeDuties(rawValue: 2)
  /// Write the data again, although it is the same.
  static let touch = NodeDuties(rawValue: 4)
}

/// State of a wanted node's loop.
enum NodeLoop {
  case idle
  case running
  /// Something changed since the step that is under way began.
  case runningAgain
}

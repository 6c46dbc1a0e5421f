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

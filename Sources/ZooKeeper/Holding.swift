extension WantedNode {
  /// What the session in use is known to hold.
  enum Holding: Hashable {
    /// Nothing: every create of this session is accounted for.
    case nothing
    /// Perhaps a node: a create was not answered, or the session is older than we are.
    case unknown
    /// This node, with the version and the bytes that are there; nil when others may have written.
    case node(path: String, version: Int32, data: [UInt8]?)
  }
}

/// Properties of a node at one moment.
public struct NodeStat: Hashable, Sendable {
  /// Counts the writes of the node's data since it was made.
  public internal(set) var version: Int32
  /// Counts the children that came or went.
  var childVersion: Int32
  /// The session the node goes with; 0 for a persistent node.
  var ephemeralOwner: Int64
  /// The number of nodes below it.
  public internal(set) var children: Int32

  /// Whether the node goes with a session.
  public var isEphemeral: Bool { ephemeralOwner != 0 }
}

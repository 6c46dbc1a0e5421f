/// What a watch of a directory or of a node's data reports.
public enum WatchEvent: Hashable, Sendable {
  /// The complete list of child names, in the server's order; of a directory.
  case children([String])
  /// The bytes of the node; of its data.
  case data([UInt8])
  /// The path does not exist; the watch waits for it.
  case missing
  /// It cannot be read (no permission, bad path); asked again at the reconcile interval.
  case failed(ZooKeeperError)
}

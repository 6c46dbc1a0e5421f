/// How much a document may ask for before it is refused; the defaults are far above any real configuration.
public struct YAMLLimits: Sendable {
  /// Size of the text.
  public var bytes: Int
  /// Nesting, counted after aliases are replaced.
  public var depth: Int
  /// Values, counted after aliases are replaced: what keeps a short text from becoming a huge tree.
  public var nodes: Int

  /// Limits; see the properties.
  public init(bytes: Int = 32 << 20, depth: Int = 100, nodes: Int = 2_000_000) {
    self.bytes = bytes
    self.depth = depth
    self.nodes = nodes
  }

  /// 32 MiB, 100 levels, two million values.
  public static let `default` = YAMLLimits()
}

/// One of the parts of a `multi` discovery.
public struct NamedDiscovery: Hashable, Sendable {
  /// Its key under `watchers`; the service's own discovery is `primary`.
  public var name: String
  /// What it is.
  public var discovery: DiscoveryConfiguration

  /// A part.
  public init(name: String, discovery: DiscoveryConfiguration) {
    self.name = name
    self.discovery = discovery
  }
}

/// How the parts of a `multi` discovery become one list.
public enum MultiResolver: Hashable, Sendable {
  /// All of them, in the order of the parts.
  case union
  /// The first of these parts that has any server.
  case sequential([String])
  /// The part that a file elsewhere points at: `s3_toggle`.
  case toggle(ToggleConfiguration)
}

/// The `s3_toggle` resolver.
public struct ToggleConfiguration: Hashable, Sendable {
  /// Where the weights of the parts are read.
  public enum Source: Hashable, Sendable {
    /// `file:///path`
    case file(String)
    /// `http://` and `https://`
    case web(WebAddress)
  }

  /// `s3_url`
  public var source: Source
  /// `s3_polling_interval_seconds`
  public var interval: Duration
}

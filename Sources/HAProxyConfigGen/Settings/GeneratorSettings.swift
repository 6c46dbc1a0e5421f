/// The `haproxy` section at the top of synapse's configuration: what the generator needs of it.
///
/// Whether and how files are written, sockets spoken to and HAProxy reloaded is the agent's business.
public struct GeneratorSettings: Hashable, Sendable {
  /// Lines of the `global` section.
  public var global: [String] = []
  /// Lines of the `defaults` section.
  public var defaults: [String] = []
  /// Further sections, written as they stand, in this order.
  public var extraSections: [ExtraSection] = []
  /// Lines of the frontend that several services share; nil: there is none.
  public var sharedFrontend: [String]?
  /// Addresses on this host that are not HAProxy's, by the agent's key that says so: `status_port`. What is written is
  /// what would follow `bind`.
  public var reservedAddresses: [String: String] = [:]
  /// Where services listen that do not say it themselves.
  public var bindAddress = "localhost"
  /// Seeds the order of servers whose service asks for no other; any text, upstream's is a 128-bit number.
  public var serverOrderSeed = "0"
  /// Ids are given from 1 to this one.
  public var maxServerID = 65_535
  /// How many seconds a server that left is remembered.
  public var stateFileTTL = 86_400
  /// Whether a server that left stays in the file, disabled, while it is remembered: so with a state file.
  public var keepsGoneServers = false
  /// Whether a registration's weight is written; a service may say otherwise.
  public var usesNerveWeights = false
  /// Whether the installed HAProxy has the last word on a directive we do not know. When nothing
  /// checks the file, such a line is skipped instead, as it might make the file a bad one.
  public var keepsUnknownDirectives = true
  /// The HAProxy that is to load the file, where it is known: lines of services that it would refuse are skipped, and
  /// named, before it is asked.
  public var version: HAProxyVersion?

  /// Settings with upstream's defaults, without the two required sections.
  public init() {}
}

/// A section of the file that is not synapse's own: `listen stats` and its lines.
public struct ExtraSection: Hashable, Sendable {
  /// The section's first line, for example `listen stats`.
  public var title: String
  /// The lines below the title.
  public var lines: [String]

  /// A section with a title and lines.
  public init(title: String, lines: [String]) {
    self.title = title
    self.lines = lines
  }

  /// The words of the title, and the address behind them: before HAProxy 1.7, `listen stats :3212` stood for
  /// `listen stats` and `bind :3212`, and public configurations still have it.
  var heading: (words: [String], address: String?) {
    let words = title.words
    guard words.count > 2, words[0] == "listen" || words[0] == "frontend", words[2] != "from" else {
      return (words, nil)
    }
    return (Array(words.prefix(2)), words.dropFirst(2).joined(separator: " "))
  }
}

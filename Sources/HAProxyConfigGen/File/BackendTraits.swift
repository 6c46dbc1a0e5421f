/// What a backend's lines, and the `defaults` they build on, mean for its servers.
struct BackendTraits: Sendable {
  /// `tcp` backends have no use for cookies.
  private(set) var isTCP = false
  /// Whether there is a `cookie` directive, without which HAProxy ignores cookie values.
  private(set) var hasCookie = false
  /// The words after `balance`.
  private(set) var balance: [String] = ["roundrobin"]
  /// `hash-type consistent`: servers may come and go.
  private(set) var isConsistentHash = false
  /// What `default-server` lines say, in their order.
  private(set) var defaultServer: [String] = []
  /// Servers that the configuration itself writes into the backend; not synapse's to touch.
  private(set) var ownServers: Set<String> = []
  /// Their ids, as far as their lines have one.
  private(set) var ownIDs: Set<Int> = []
  /// Prefixes of `server-template` lines.
  private(set) var templates: [String] = []

  /// Lines of the section of defaults that applies, then of the backend.
  init(_ lists: [[ConfigLine]]) {
    for line in lists.joined() { read(line.text.splitAtComment.plain.words) }
  }

  private mutating func read(_ words: [String]) {
    guard let first = words.first else { return }
    let second = words.count > 1 ? words[1] : ""
    switch first {
    case "mode": isTCP = second == "tcp"
    case "cookie": hasCookie = true
    case "balance": balance = Array(words.dropFirst())
    case "hash-type": isConsistentHash = second == "consistent"
    case "default-server": defaultServer += words.dropFirst()
    case "server":
      ownServers.insert(second)
      if let at = words.firstIndex(of: "id"), at + 1 < words.count, let id = Int(words[at + 1]) { ownIDs.insert(id) }
    case "server-template": templates.append(second)
    default: break
    }
  }

  var wantsCookies: Bool { hasCookie && !isTCP }

  /// Whether servers and weights can change while HAProxy runs.
  var isDynamic: Bool {
    let algorithm = balance.first.map { String($0.prefix { $0 != "(" }) } ?? "roundrobin"
    return switch algorithm {
    case "roundrobin", "leastconn", "random", "first": true
    case "static-rr": false
    default: isConsistentHash
    }
  }

  /// The weight of a server with these options of its own; nil when an agent check sets it, every few seconds.
  func weight(_ options: String) -> Int? {
    let own = options.has("weight") || options.has("agent-check") ? options.words : []
    guard !own.contains("agent-check"), own.contains("no-agent-check") || !defaultServer.contains("agent-check") else {
      return nil
    }
    for words in [own, defaultServer] {
      if let at = words.lastIndex(of: "weight"), at + 1 < words.count { return Int(words[at + 1]) }
    }
    return 1
  }

  func isForeign(_ server: String) -> Bool {
    if ownServers.contains(server) { return true }
    // `server-template h 3 …` makes h1, h2 and h3.
    return templates.contains { server.hasPrefix($0) && Int(server.dropFirst($0.utf8.count)).map { $0 >= 0 } == true }
  }
}

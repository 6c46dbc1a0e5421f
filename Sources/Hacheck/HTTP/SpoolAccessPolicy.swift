internal import Reactor
internal import SmartStack

/// Who may change the spool over HTTP: by address, and, for browsers, by the page that the form stood on.
@LoopActor struct SpoolAccessPolicy {
  let configuration: HacheckConfiguration
  let own: OwnAddresses

  /// - Throws: ``Refusal`` when the client may not change the spool.
  func check(_ exchange: HTTPExchange) throws(Refusal) {
    if let sentence = refusal(ofPeer: exchange.peer) ?? SpoolAccessPolicy.refusal(of: .exchange(exchange)) {
      throw Refusal(sentence, status: 403)
    }
  }

  // MARK: By address

  /// Why a client may not change the spool, by its address alone; nil if it may.
  func refusal(ofPeer peer: String) -> String? {
    guard configuration.allowsSpoolChanges else { return "remote spool changes are not enabled" }
    // The mode of the Unix socket's file says who may open it.
    guard let networks = configuration.spoolChangeNetworks, peer != "unix" else { return nil }
    guard let address = IPAddress(peer)?.unmapped else { return "a client without an address may not change the spool" }
    let isAllowed =
      configuration.allowsOwnSpoolChanges && own.contains(address) || networks.contains { $0.contains(address) }
    return isAllowed ? nil : "\(address) may not change the spool; spool_change_networks says who may"
  }

  // MARK: By site

  /// Whether another site's page wants something from hacheck without the user's seeing it: an image, a frame, a
  /// script's request. A link that the user follows is none.
  static func isForeignSubresource(_ exchange: HTTPExchange) -> Bool {
    exchange.header("Sec-Fetch-Site") == "cross-site" && exchange.header("Sec-Fetch-Dest") != "document"
  }

  /// Why a browser's request is refused: it comes from another site's page. Programs send none of these headers and
  /// pass. The listener has refused names that are not this machine's.
  static func refusal(of headers: RequestHeaders) -> String? {
    let site = headers.first("Sec-Fetch-Site")
    let (origin, referer) = (headers.first("Origin"), headers.first("Referer"))
    guard site != nil || origin != nil || referer != nil else { return nil }
    if let site, site != "same-origin", site != "none" {
      return "this request comes from another site's page; only hacheck's own page and programs are obeyed"
    }
    guard let host = headers.first("Host")?.lowercased(), !host.isEmpty else {
      return "a browser's request needs a Host header"
    }
    for (header, value) in [("Origin", origin), ("Referer", referer)] {
      guard let value, authority(of: value) != host else { continue }
      return "\(header) \(value.quoted) is another site than \(host.quoted); "
        + "only hacheck's own page and programs are obeyed"
    }
    return nil
  }

  /// `http://host:6666/x` → `host:6666`; nil for `null` and everything else that is no such address.
  private static func authority(of url: String) -> String? {
    let (scheme, rest) = url.lowercased()[...].cut(at: ":")
    guard scheme == "http" || scheme == "https", let rest, rest.hasPrefix("//") else { return nil }
    return String(rest.dropFirst(2).prefix { $0 != "/" && $0 != "?" && $0 != "#" })
  }
}

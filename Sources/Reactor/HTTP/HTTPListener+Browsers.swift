internal import CEvent
internal import Glibc
internal import SmartStack

/// Requests of browsers, told from those of programs by headers that programs do not send.
extension HTTPListener {
  /// A page's script can change the value of some of these, and send a request without any of them by no means.
  private static let browserHeaders = [
    "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Origin", "Referer", "Accept-Language",
  ]

  /// Why a browser's request is refused: its address bar names a machine that is not this one. Nil for programs, and
  /// for browsers at an address or at one of `hostNames`.
  static func refusal(of request: OpaquePointer, hostNames: Set<String>) -> String? {
    let fields = evhttp_request_get_input_headers(request)
    guard browserHeaders.contains(where: { evhttp_find_header(fields, $0) != nil }) else { return nil }
    let host = evhttp_find_header(fields, "Host").map { String(cString: $0) } ?? ""
    return refusal(ofHost: host, hostNames: hostNames)
  }

  /// - Parameter host: the value of the header `Host`.
  static func refusal(ofHost host: String, hostNames: Set<String>) -> String? {
    guard !host.isEmpty else { return "a browser's request needs a Host header" }
    let name = bareName(of: host.lowercased())
    if IPAddress(name) != nil || !name.isEmpty && hostNames.contains(name) { return nil }
    return "browsers are answered at an address or at this machine's name; \(name.quoted) is neither, and the "
      + "configuration does not name it (page_hosts of hacheck, status_hosts of nerve and synapse)"
  }

  /// A Host header without port and brackets.
  private static func bareName(of host: String) -> String {
    if host.hasPrefix("["), let end = host.firstIndex(of: "]") { return String(host[..<end].dropFirst()) }
    return String(host.prefix { $0 != ":" })
  }
}

internal import CEvent
internal import Glibc
internal import SmartStack

/// Endpoint to addresses: paths and numeric hosts at once, names through ``NameResolver``.
extension Endpoint {
  /// - Throws: `StreamError`, or `CancellationError`.
  @LoopActor func addresses(deadline: Duration) async throws -> [SocketAddress] {
    if let known = try immediateAddresses() { return known }
    guard case .tcp(let host, let port) = self else { return [] }
    let end = LoopClock.system.now + deadline
    let found: [String]
    do {
      found = try await NameResolver.system.addresses(of: host, deadline: deadline)
    } catch let error as OperatorError {
      if let reason = Endpoint.shortage { throw StreamError.starved(self, reason: reason) }
      if LoopClock.system.now >= end { throw StreamError.timedOut(self, after: deadline) }
      throw StreamError.refused(self, reason: error.description)
    }
    guard !found.isEmpty else {
      throw StreamError.refused(self, reason: "the name does not resolve: it has no address")
    }
    return try found.flatMap { address throws in
      try SocketAddress.lookUp(host: address, port: port, of: self, flags: AI_NUMERICHOST)
    }
  }

  /// Why no socket can be made at this moment; nil when one can. c-ares does not tell why it cannot ask.
  private static var shortage: String? {
    let probe = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard probe < 0 else {
      close(probe)
      return nil
    }
    return isLocalShortage(errno) ? errorText(errno) : nil
  }

  /// The address of a numeric TCP endpoint; nil for names and Unix sockets.
  func onlyAddress() throws(StreamError) -> SocketAddress? {
    guard case .tcp = self, let known = try immediateAddresses(), known.count == 1 else { return nil }
    return known[0]
  }

  /// nil when the host is a name.
  func immediateAddresses() throws(StreamError) -> [SocketAddress]? {
    switch self {
    case .unix(let path):
      if let address = SocketAddress(unixPath: path) { return [address] }
      throw .refused(self, reason: "the path is longer than a Unix socket's may be")
    case .tcp(let host, let port):
      guard (0...65535).contains(port) else { throw .refused(self, reason: "the port is outside 0...65535") }
      guard !host.isEmpty else { throw .refused(self, reason: "the host is empty") }
      return try? SocketAddress.lookUp(host: host, port: port, of: self, flags: AI_NUMERICHOST)
    }
  }
}

internal import Glibc

/// Endpoint to addresses: paths and numeric hosts at once, names through ``NameResolver``.
enum AddressResolver {
  /// - Throws: `StreamError`, or `CancellationError`.
  @LoopActor static func addresses(of endpoint: Endpoint, deadline: Duration) async throws -> [SocketAddress] {
    if let known = try immediateAddresses(of: endpoint) { return known }
    guard case .tcp(let host, let port) = endpoint else { return [] }
    let end = LoopClock.system.now + deadline
    let found: [String]
    do { found = try await NameResolver.system.addresses(of: host, deadline: deadline) } catch let error as NameFailure
    {
      if LoopClock.system.now >= end { throw StreamError.timedOut(endpoint, after: deadline) }
      throw StreamError.refused(endpoint, reason: "the name does not resolve: \(error.reason)")
    }
    guard !found.isEmpty else {
      throw StreamError.refused(endpoint, reason: "the name does not resolve: it has no address")
    }
    return try found.flatMap { address throws in
      try SocketAddress.lookUp(host: address, port: port, of: endpoint, flags: AI_NUMERICHOST)
    }
  }

  /// The address of a numeric TCP endpoint; nil for names and Unix sockets.
  static func onlyAddress(of endpoint: Endpoint) throws(StreamError) -> SocketAddress? {
    guard case .tcp = endpoint, let known = try immediateAddresses(of: endpoint), known.count == 1 else { return nil }
    return known[0]
  }

  /// nil when the host is a name.
  static func immediateAddresses(of endpoint: Endpoint) throws(StreamError) -> [SocketAddress]? {
    switch endpoint {
    case .unix(let path):
      if let address = SocketAddress(unixPath: path) { return [address] }
      throw .refused(endpoint, reason: "the path is longer than a Unix socket's may be")
    case .tcp(let host, let port):
      guard (0...65535).contains(port) else { throw .refused(endpoint, reason: "the port is outside 0...65535") }
      guard !host.isEmpty else { throw .refused(endpoint, reason: "the host is empty") }
      return try? SocketAddress.lookUp(host: host, port: port, of: endpoint, flags: AI_NUMERICHOST)
    }
  }
}

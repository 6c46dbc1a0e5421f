internal import CEvent
internal import Glibc

/// Opens and checks listening sockets.
extension Endpoint {
  /// A bound, listening, non-blocking, close-on-exec socket.
  /// - Parameter mode: of a Unix socket's file; nil leaves it to the umask.
  func openListener(mode: UInt32?) throws(ListenError) -> Int32 {
    let address = try addressToBind()
    let descriptor = address.makeSocket()
    guard descriptor >= 0 else { throw .failed(self, reason: errorText(errno)) }
    if case .unix(let path) = self {
      Endpoint.removeStaleSocket(path, at: address)
    } else {
      setOption(SO_REUSEADDR, level: SOL_SOCKET, of: descriptor)
    }
    // The mode is set before anybody could connect: until listen() connections are refused.
    if address.withPointer({ bind(descriptor, $0, $1) }) == 0, setMode(mode),
      Glibc.listen(descriptor, SOMAXCONN) == 0
    {
      return descriptor
    }
    let code = errno
    close(descriptor)
    throw code == EADDRINUSE ? .addressInUse(self) : .failed(self, reason: errorText(code))
  }

  /// Binds a socket to a numeric address, as a program does that is to listen there, and closes it at once.
  /// - Returns: the system's text for what is wrong with the address, and whether another listener is all that is; nil:
  ///   nothing, or nothing that is known. That this user may not have the port says nothing of another one.
  public func bindProblem(isIPv6Only: Bool) -> (text: String, isInUse: Bool)? {
    guard case .tcp(let host, let port) = self,
      let address = try? SocketAddress.lookUp(host: host, port: port, of: self, flags: AI_NUMERICHOST).first
    else { return nil }
    let descriptor = address.makeSocket()
    var code = errno
    if descriptor >= 0 {
      defer { close(descriptor) }
      setOption(SO_REUSEADDR, level: SOL_SOCKET, of: descriptor)
      if isIPv6Only { setOption(Int32(IPV6_V6ONLY), level: Int32(IPPROTO_IPV6), of: descriptor) }
      code = address.withPointer { bind(descriptor, $0, $1) } == 0 ? 0 : errno
    }
    guard [EADDRINUSE, EADDRNOTAVAIL, EAFNOSUPPORT].contains(code) else { return nil }
    return (errorText(code), code == EADDRINUSE)
  }

  private func setMode(_ mode: UInt32?) -> Bool {
    guard let mode, case .unix(let path) = self else { return true }
    return chmod(path, mode) == 0
  }

  /// Makes a descriptor from elsewhere non-blocking and close-on-exec, if it is a listening stream socket.
  static func prepareAdopted(_ descriptor: Int32) throws(ListenError) {
    guard option(SO_TYPE, of: descriptor) == Int32(SOCK_STREAM.rawValue), option(SO_ACCEPTCONN, of: descriptor) == 1
    else { throw .notListening(descriptor: descriptor, reason: "it is not a listening stream socket") }
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
  }

  private func addressToBind() throws(ListenError) -> SocketAddress {
    do throws(StreamError) {
      if let address = try immediateAddresses()?.first { return address }
      guard case .tcp(let host, let port) = self,
        let address = try SocketAddress.lookUp(host: host, port: port, of: self, flags: AI_PASSIVE).first
      else { throw StreamError.refused(self, reason: "the name has no address") }
      return address
    } catch {
      if case .refused(_, let reason) = error { throw .failed(self, reason: reason) }
      throw .failed(self, reason: error.description)
    }
  }

  /// A socket file whose process is gone refuses connections; only then it is removed.
  private static func removeStaleSocket(_ path: String, at address: SocketAddress) {
    var status = stat()
    guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFSOCK else { return }
    // Not blocking: a process that hangs with a full queue has its socket all the same.
    let probe = address.makeSocket()
    defer { close(probe) }
    if address.withPointer({ Glibc.connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED { unlink(path) }
  }

  private static func option(_ name: Int32, of descriptor: Int32) -> Int32? {
    var value: Int32 = 0
    var size = socklen_t(MemoryLayout<Int32>.size)
    return getsockopt(descriptor, SOL_SOCKET, name, &value, &size) == 0 ? value : nil
  }
}

/// Why a server does not listen.
public enum ListenError: Error, Equatable, Sendable, CustomStringConvertible {
  /// Another process has the address.
  case addressInUse(Endpoint)
  /// Everything else, with the system's text.
  case failed(Endpoint, reason: String)
  /// The descriptor handed to a listener is not a listening stream socket.
  case notListening(descriptor: Int32, reason: String)

  /// A sentence for the log.
  public var description: String {
    switch self {
    case .addressInUse(let endpoint): "cannot listen on \(endpoint): another process does already"
    case .failed(let endpoint, let reason): "cannot listen on \(endpoint): \(reason)"
    case .notListening(let descriptor, let reason): "cannot take over descriptor \(descriptor): \(reason)"
    }
  }
}

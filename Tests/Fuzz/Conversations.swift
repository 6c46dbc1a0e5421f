import Glibc

@testable import Reactor

/// Runs `body` on the loop, and waits for its end.
func onLoop(_ body: @escaping @Sendable @LoopActor () async -> Void) {
  let end = Semaphore()
  Task { @LoopActor in
    await body()
    end.post()
  }
  end.wait()
}

/// A parser whose input is all that a peer says to a client of ours.
func converse(_ body: @escaping @Sendable @LoopActor (Endpoint) async -> Void) -> @Sendable ([UInt8]) -> Void {
  { bytes in
    let end = Semaphore()
    Task { @LoopActor in
      await body(.unix(path: peer.path))
      end.post()
    }
    let client = retrying { accept(peer.descriptor, nil, nil) }
    precondition(client >= 0)
    say(bytes, on: client)
    end.wait()
  }
}

/// What a client says to a server of ours.
@Sendable func askServer(_ bytes: [UInt8]) {
  let client = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
  precondition(server.withAddress { address, size in retrying { connect(client, address, size) } } == 0)
  say(bytes, on: client)
}

/// libFuzzer's timer interrupts calls.
private func retrying(_ call: () -> Int32) -> Int32 {
  while true {
    let result = call()
    if result >= 0 || errno != EINTR { return result }
  }
}

/// Says at most what a socket's buffer holds, because the other side may not read at all; hears it out, and closes.
private func say(_ bytes: [UInt8], on descriptor: Int32) {
  send(descriptor, bytes, min(bytes.count, 1 << 16), Int32(MSG_NOSIGNAL))
  shutdown(descriptor, Int32(SHUT_WR))
  var heard = [UInt8](repeating: 0, count: 4096)
  while recv(descriptor, &heard, heard.count, 0) > 0 {}
  close(descriptor)
}

/// Where the clients of ours connect to.
private let peer: UnixSocket = {
  let socket = UnixSocket(name: "peer")
  precondition(socket.withAddress { bind(socket.descriptor, $0, $1) } == 0 && listen(socket.descriptor, 4) == 0)
  return socket
}()

/// Where a server like hacheck's listens; it answers with the body.
private let server: UnixSocket = {
  let socket = UnixSocket(name: "server")
  precondition(socket.withAddress { bind(socket.descriptor, $0, $1) } == 0 && listen(socket.descriptor, 4) == 0)
  onLoop {
    let listener = HTTPListener(limits: HTTPServerLimits { $0.maxBodyBytes = 1024 }) { exchange in
      _ = (exchange.header("Host"), exchange.header("Origin"), exchange.peer)
      exchange.respond(status: 200, headers: [("Content-Type", "text/plain")], body: exchange.body)
    }
    do { try listener.adopt(descriptor: socket.descriptor) } catch { preconditionFailure("\(error)") }
    // It serves as long as the process lives.
    _ = Unmanaged.passRetained(listener)
  }
  return socket
}()

private struct UnixSocket {
  let path: String
  let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)

  init(name: String) {
    path = "/tmp/fuzz-\(getpid()).\(name)"
    unlink(path)
  }

  func withAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    return withUnsafePointer(to: address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_un>.size)) }
    }
  }
}

/// POSIX's.
private final class Semaphore: @unchecked Sendable {
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  init() { sem_init(semaphore, 0, 0) }

  deinit { semaphore.deallocate() }

  func post() { sem_post(semaphore) }

  func wait() { while sem_wait(semaphore) != 0 {} }
}

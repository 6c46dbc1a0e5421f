internal import Glibc
internal import Reactor
internal import TestSupport

/// A Unix socket that answers the first line of each connection as a script says.
final class ScriptedSocket: Sendable {
  enum Step: Sendable {
    case send(String)
    /// What this makes of each command of the line, in prompt mode.
    case reply(@Sendable (String) -> String)
    /// Nothing more, until the peer hangs up.
    case hang
  }

  private let directory = TemporaryDirectory()
  private let descriptor: Int32
  private let seen = Locked<[String]>([])

  var path: String { directory.path + "/s" }
  /// The first line of each connection.
  var lines: [String] { seen.withLock { $0 } }

  init(_ script: [Step]) {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let path = directory.path + "/s"
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    precondition(bound == 0 && listen(descriptor, 8) == 0, "cannot listen on \(path): errno \(errno)")
    // Not BlockingWork: its few threads belong to the code under test, of this suite and of all others.
    startThread { [descriptor, seen] in ScriptedSocket.serve(descriptor, script, seen) }
  }

  deinit {
    shutdown(descriptor, Int32(SHUT_RDWR))
    close(descriptor)
  }

  private static func serve(_ descriptor: Int32, _ script: [Step], _ seen: Locked<[String]>) {
    while true {
      let peer = accept(descriptor, nil, nil)
      if peer < 0 { return }
      var line: [UInt8] = []
      var byte: UInt8 = 0
      while read(peer, &byte, 1) == 1, byte != 10 { line.append(byte) }
      seen.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
      for step in script {
        switch step {
        case .reply(let reply):
          let commands = String(decoding: line, as: UTF8.self).split(separator: ";")
          let text = commands.map { reply(String($0)) + "\n> " }.joined()
          _ = Array(text.utf8).withUnsafeBytes { write(peer, $0.baseAddress, $0.count) }
        case .send(let text): _ = Array(text.utf8).withUnsafeBytes { write(peer, $0.baseAddress, $0.count) }
        case .hang: while read(peer, &byte, 1) == 1 {}
        }
      }
      close(peer)
    }
  }
}

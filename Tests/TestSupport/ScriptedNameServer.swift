internal import Glibc
public import Reactor

/// A name server on a datagram socket that answers as a test says, or not at all.
@LoopActor public final class ScriptedNameServer {
  /// A question as it came, and the answers that may be given.
  public struct Question {
    /// The whole message.
    public let bytes: [UInt8]

    /// A question with this message.
    public init(bytes: [UInt8]) { self.bytes = bytes }

    /// Whether it is for IPv6 addresses.
    public var isIPv6: Bool { bytes[bytes.count - 3] == 28 }

    /// The first part of the name.
    public var host: String { String(decoding: bytes.dropFirst(13).prefix(Int(bytes[12])), as: UTF8.self) }

    /// The answer of a server that has failed.
    public var failure: [UInt8] { Array(bytes[..<2]) + [0x81, 0x82] + bytes[4...] }

    /// One address, or none to a question for the other family.
    public func answer(_ address: [UInt8], timeToLive: UInt8 = 60) -> [UInt8] {
      let count: UInt8 = isIPv6 ? 0 : 1
      let record: [UInt8] = isIPv6 ? [] : [0xC0, 12, 0, 1, 0, 1, 0, 0, 0, timeToLive, 0, 4] + address
      return Array(bytes[..<2]) + [0x81, 0x80, 0, 1, 0, count, 0, 0, 0, 0] + bytes[12...] + record
    }
  }

  /// Number of questions so far.
  public private(set) var questions = 0
  /// Where it listens.
  public let endpoint: Endpoint
  private let descriptor: Int32
  private var timer: LoopTimer?

  /// A server whose answers `answer` makes; nil: it is silent.
  public init(_ answer: @escaping @LoopActor (Question) -> [UInt8]?) throws {
    let port = try freePort()
    endpoint = .tcp(host: "127.0.0.1", port: port)
    descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafePointer(to: address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, size) }
    }
    guard status == 0 else { throw ServerTrouble(description: "no name server on port \(port)") }
    poll(answer)
  }

  isolated deinit {
    timer?.cancel()
    close(descriptor)
  }

  private func poll(_ answer: @escaping @LoopActor (Question) -> [UInt8]?) {
    while serve(answer) {}
    timer = LoopClock.system.schedule(after: .milliseconds(1)) { [weak self] in self?.poll(answer) }
  }

  /// - Returns: whether there was a question.
  private func serve(_ answer: @LoopActor (Question) -> [UInt8]?) -> Bool {
    var bytes = [UInt8](repeating: 0, count: 2048)
    var peer = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &peer) { storage in
      storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        let count = recvfrom(descriptor, &bytes, bytes.count, 0, pointer, &length)
        guard count > 12 else { return count >= 0 }
        questions += 1
        if let reply = answer(Question(bytes: Array(bytes[..<count]))) {
          sendto(descriptor, reply, reply.count, 0, pointer, length)
        }
        return true
      }
    }
  }
}

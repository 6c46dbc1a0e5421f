internal import Glibc
public import Reactor

/// Sends upstream's metrics as StatsD datagrams with tags (`name:1|c|#tag:value`).
///
/// Nothing waits for it: the host is looked up meanwhile, and what cannot be sent at once is dropped and
/// counted.
@LoopActor public final class StatsD {
  /// Datagrams kept while the host is being resolved.
  private static let earlyLimit = 256

  private static let lookUpPatience: Duration = .seconds(10)

  /// The socket, or -1 when there is none; nil while the host is being resolved.
  private var descriptor: Int32?
  private var early: [[UInt8]] = []
  private let sampleRates: [String: Double]

  /// Datagrams that were not sent.
  public private(set) var dropped = 0

  /// - Parameters:
  ///   - host: address or name of the StatsD server; a name is resolved once.
  ///   - port: its UDP port.
  ///   - sampleRates: per metric name, how many of its samples are sent, from 0 to 1; the others are all sent.
  public init(host: String, port: Int, sampleRates: [String: Double] = [:]) {
    self.sampleRates = sampleRates
    Task { [weak self] in
      let addresses = try? await NameResolver.system.addresses(of: host, deadline: StatsD.lookUpPatience)
      self?.resolved(addresses?.first.map { StatsD.connect(address: $0, port: port) } ?? -1)
    }
  }

  isolated deinit {
    if let descriptor, descriptor >= 0 { close(descriptor) }
  }

  /// Adds one to a counter.
  public func increment(_ name: String, tags: [String] = []) { send(name, value: "1|c", tags: tags) }

  /// A duration, in milliseconds.
  public func timing(_ name: String, elapsed: Duration, tags: [String] = []) {
    send(name, value: "\(StatsD.shown((elapsed / .milliseconds(1)).rounded()))|ms", tags: tags)
  }

  /// A value of this moment.
  public func gauge(_ name: String, value: Double, tags: [String] = []) {
    send(name, value: "\(StatsD.shown(value))|g", tags: tags)
  }

  private static func shown(_ value: Double) -> String {
    Int(exactly: value).map(String.init) ?? String(value)
  }

  private func send(_ name: String, value: String, tags: [String]) {
    let rate = sampleRates[name] ?? 1
    // A sample that is skipped on purpose is not a dropped one: the server multiplies by the rate.
    guard rate >= 1 || Double.random(in: 0..<1) < rate else { return }
    var text = "\(name):\(value)" + (rate < 1 ? "|@\(rate)" : "")
    // The separators of the format cannot be quoted, so they are replaced in tags.
    let shown = tags.map { String($0.map { ",|#\n".contains($0) ? "_" : $0 }) }
    if !tags.isEmpty { text += "|#" + shown.joined(separator: ",") }
    let datagram = Array(text.utf8)
    if let descriptor {
      transmit(datagram, to: descriptor)
    } else if early.count < StatsD.earlyLimit {
      early.append(datagram)
    } else {
      dropped += 1
    }
  }

  private func transmit(_ datagram: [UInt8], to descriptor: Int32) {
    let flags = Int32(MSG_DONTWAIT | MSG_NOSIGNAL)
    if descriptor < 0 || Glibc.send(descriptor, datagram, datagram.count, flags) < 0 { dropped += 1 }
  }

  private func resolved(_ descriptor: Int32) {
    self.descriptor = descriptor
    for datagram in early { transmit(datagram, to: descriptor) }
    early = []
  }

  /// A connected UDP socket, or -1.
  private static func connect(address: String, port: Int) -> Int32 {
    var hints = addrinfo()
    hints.ai_flags = AI_NUMERICHOST
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(address, String(port), &hints, &list) == 0, let first = list else { return -1 }
    defer { freeaddrinfo(list) }
    let type = first.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(first.pointee.ai_family, type, first.pointee.ai_protocol)
    guard descriptor >= 0 else { return -1 }
    guard Glibc.connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen) == 0 else {
      close(descriptor)
      return -1
    }
    return descriptor
  }
}

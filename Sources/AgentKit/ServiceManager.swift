internal import Glibc

/// Speaks systemd's notification protocol (sd_notify): one datagram per message to the socket that
/// `NOTIFY_SOCKET` names. Without that variable nothing is sent.
struct ServiceManager {
  private let address: [UInt8]?

  /// How often systemd wants to hear from us, if it does: half of `WATCHDOG_USEC`.
  let watchdogInterval: Duration?

  init(environment: [String: String]) {
    address = environment["NOTIFY_SOCKET"].flatMap { path in
      var bytes = Array(path.utf8)
      guard let first = bytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@") else { return nil }
      // A leading `@` stands for the abstract namespace, whose names begin with a zero byte.
      if first == UInt8(ascii: "@") { bytes[0] = 0 }
      return bytes.count < ServiceManager.longestPath ? bytes : nil
    }
    let isForUs = environment["WATCHDOG_PID"].map { $0 == String(getpid()) } ?? true
    let limit = environment["WATCHDOG_USEC"].flatMap { Int64($0) }
    watchdogInterval = limit.flatMap { $0 > 0 && isForUs ? .microseconds($0 / 2) : nil }
  }

  private static let longestPath = MemoryLayout.size(ofValue: sockaddr_un().sun_path)

  /// Sends `message`, for example `READY=1`; a service manager that is gone is no problem of ours.
  func notify(_ message: String) {
    guard let address else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var name = sockaddr_un()
    name.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &name.sun_path) { $0.copyBytes(from: address) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + address.count)
    let bytes = Array(message.utf8)
    _ = withUnsafePointer(to: &name) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        sendto(descriptor, bytes, bytes.count, Int32(MSG_DONTWAIT | MSG_NOSIGNAL), $0, length)
      }
    }
  }

  /// `MONOTONIC_USEC=…` of this moment, which `RELOADING=1` has to carry.
  static func monotonicStamp() -> String {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return "MONOTONIC_USEC=\(time.tv_sec * 1_000_000 + time.tv_nsec / 1_000)"
  }
}

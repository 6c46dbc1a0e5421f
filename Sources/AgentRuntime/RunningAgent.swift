internal import Glibc
internal import Reactor

/// An agent of this host that runs, found by the lock that it holds.
public struct RunningAgent: Sendable {
  /// Its process id.
  public let pid: Int32

  /// - Parameters:
  ///   - lockPath: the file of its ``InstanceLock``, which holds its pid.
  ///   - configuration: the file it must have been started with: an agent that reads another file would not see ours.
  /// - Returns: nil when none of that kind runs.
  public init?(lockPath: String, configuration: String) {
    guard let bytes = try? Files.read(lockPath, limit: 64),
      let pid = Int32(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)), pid > 1,
      kill(pid, 0) == 0,
      let line = try? Files.read("/proc/\(pid)/cmdline", limit: 1 << 20),
      line.split(separator: 0).contains(where: { Array($0) == Array(configuration.utf8) })
    else { return nil }
    self.pid = pid
  }

  /// Makes it read its configuration again.
  public func reload() -> Bool { kill(pid, SIGHUP) == 0 }
}

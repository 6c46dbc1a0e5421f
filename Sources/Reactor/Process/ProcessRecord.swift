internal import CEvent
internal import Glibc

/// Another process of this machine, as `/proc` shows it.
///
/// The kernel gives pids out again, so a process is what has this pid *and* began at this moment. One that has ended
/// but was not yet waited for is none.
public struct ProcessRecord: Hashable, Sendable {
  /// Its id in this process's namespace.
  public let pid: Int32
  /// The process id of its parent.
  public let parent: Int32
  /// The name it was executed by, of which the kernel keeps 15 bytes.
  public let name: String
  /// When it began, in clock ticks after the boot.
  public let startTicks: Int

  /// Of figures that are known already.
  public init(pid: Int32, parent: Int32, name: String, startTicks: Int) {
    (self.pid, self.parent, self.name, self.startTicks) = (pid, parent, name, startTicks)
  }

  /// Looks at one process; nil if there is none.
  public static func read(_ pid: Int32) -> ProcessRecord? {
    guard let stat = text("/proc/\(pid)/stat"), let open = stat.firstIndex(of: "("), let end = stat.lastIndex(of: ")")
    else { return nil }
    // Behind the name, which may hold blanks and brackets, field 3 comes first: the state.
    let fields = stat[stat.index(after: end)...].split(separator: " ")
    guard fields.count > 19, fields[0] != "Z", fields[0] != "X", let parent = Int32(fields[1]),
      let start = Int(fields[19])
    else { return nil }
    return ProcessRecord(
      pid: pid, parent: parent, name: String(stat[stat.index(after: open)..<end]), startTicks: start)
  }

  /// All processes that this one may see. Takes some 10 µs for each.
  public static func all() -> [ProcessRecord] {
    ((try? Files.list("/proc")) ?? []).compactMap { Int32($0).flatMap(read) }
  }

  /// Its command line; empty if it may not be read.
  public var arguments: [String] {
    guard let text = ProcessRecord.text("/proc/\(pid)/cmdline") else { return [] }
    return text.split(separator: "\0", omittingEmptySubsequences: false).dropLast().map(String.init)
  }

  /// Whether it has this process's network; also true if that may not be seen.
  public var sharesNetwork: Bool {
    let theirs = Files.destination(of: "/proc/\(pid)/ns/net")
    return theirs == "/proc/\(pid)/ns/net"
      || Files.name(of: theirs) == Files.name(of: Files.destination(of: "/proc/self/ns/net"))
  }

  /// The number of descriptors that it may raise its limit to; nil if that may not be seen.
  public var descriptorLimit: Int? {
    let limits = ProcessRecord.text("/proc/\(pid)/limits")?.split(separator: "\n")
    guard let words = limits?.first(where: { $0.hasPrefix("Max open files") })?.split(separator: " "), words.count > 4
    else { return nil }
    return words[4] == "unlimited" ? Int.max : Int(words[4])
  }

  /// The user it runs as (its real id).
  public var user: UInt32? {
    guard let status = ProcessRecord.text("/proc/\(pid)/status"),
      let line = status.split(separator: "\n").first(where: { $0.hasPrefix("Uid:") })
    else { return nil }
    return line.split(whereSeparator: { $0 == "\t" || $0 == " " }).dropFirst().first.flatMap { UInt32($0) }
  }

  /// Clock ticks since the boot, to be compared with ``startTicks``.
  public static var ticksNow: Int {
    var now = timespec()
    clock_gettime(CLOCK_BOOTTIME, &now)
    return Int((Double(now.tv_sec) + Double(now.tv_nsec) / 1e9) * ticksPerSecond)
  }

  /// The kernel's clock ticks in a second, 100 nearly everywhere.
  public static let ticksPerSecond = Double(sysconf(Int32(_SC_CLK_TCK)))

  /// Sends it a signal, if it still is this process.
  /// - Returns: the system's error number; 0: sent, or gone already.
  public func signal(_ number: Int32) -> Int32 {
    guard ProcessRecord.read(pid)?.startTicks == startTicks else { return 0 }
    return kill(pid, number) == 0 || errno == ESRCH ? 0 : errno
  }

  static func text(_ path: String) -> String? {
    (try? Files.read(path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }
}

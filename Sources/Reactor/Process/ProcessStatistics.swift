// CEvent too: the importer may attribute `timeval` to either module.
internal import CEvent
internal import Glibc

/// What this process costs right now.
public struct ProcessStatistics: Equatable, Sendable {
  /// Resident memory in bytes.
  public var residentBytes: Int
  /// User and system time since the start.
  public var cpuSeconds: Double
  /// Number of open descriptors.
  public var openDescriptors: Int
  /// Descriptors it may have open (the soft limit); 0 when there is no limit.
  public var descriptorLimit: Int
  /// Number of running threads.
  public var threads: Int
  /// When it started, in seconds since 1970, to a hundredth of a second.
  public var startTime: Double

  /// Read from `/proc/self`; a figure that cannot be read is 0.
  public static func current() -> ProcessStatistics {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    return ProcessStatistics(
      residentBytes: (field(1, of: "/proc/self/statm") ?? 0) * sysconf(Int32(_SC_PAGESIZE)),
      cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      // Less the one that listing takes.
      openDescriptors: max(0, ((try? Files.list("/proc/self/fd").count) ?? 1) - 1),
      descriptorLimit: descriptorLimit, threads: (try? Files.list("/proc/self/task").count) ?? 0,
      startTime: started)
  }

  /// The start in ticks since the boot (field 22 of /proc/self/stat) on top of the boot's time.
  private static let started: Double = {
    guard let stat = text(of: "/proc/self/stat"), let boot = text(of: "/proc/stat"),
      let name = stat.lastIndex(of: ")"),
      let seconds = boot.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }).flatMap({
        Double($0.dropFirst("btime ".count))
      })
    else { return 0 }
    // Behind the program's name, which may hold blanks, field 3 comes first.
    let fields = stat[stat.index(after: name)...].split(separator: " ")
    guard fields.count > 19, let ticks = Double(fields[19]) else { return 0 }
    return seconds + ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
  }()

  /// Descriptors this process may have open (the soft limit); 0 when there is no limit.
  public static var descriptorLimit: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
    return Int(exactly: limit.rlim_cur) ?? 0
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  private static func field(_ index: Int, of path: String) -> Int? {
    guard let fields = text(of: path)?.split(whereSeparator: \.isWhitespace) else { return nil }
    return index < fields.count ? Int(fields[index]) : nil
  }

  private static func text(of path: String) -> String? {
    (try? Files.read(path, limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
  }
}

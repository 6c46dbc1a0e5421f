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
      residentBytes: residentPages * sysconf(Int32(_SC_PAGESIZE)),
      cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      // Less the one that listing takes.
      openDescriptors: max(0, ((try? Files.list("/proc/self/fd").count) ?? 1) - 1),
      descriptorLimit: descriptorLimit, threads: (try? Files.list("/proc/self/task").count) ?? 0,
      startTime: started)
  }

  /// The start in ticks since the boot (field 22 of /proc/self/stat) on top of the boot's time.
  private static let started: Double = {
    guard let own = ProcessRecord.read(getpid()),
      let boot = ProcessRecord.text("/proc/stat")?.split(separator: "\n").first(where: { $0.hasPrefix("btime ") }),
      let seconds = Double(boot.dropFirst("btime ".count))
    else { return 0 }
    return seconds + Double(own.startTicks) / ProcessRecord.ticksPerSecond
  }()

  /// Descriptors this process may have open (the soft limit); 0 when there is no limit.
  public static var descriptorLimit: Int {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
    return Int(exactly: limit.rlim_cur) ?? 0
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  private static var residentPages: Int {
    let fields = ProcessRecord.text("/proc/self/statm")?.split(separator: " ") ?? []
    return fields.count > 1 ? Int(fields[1]) ?? 0 : 0
  }
}

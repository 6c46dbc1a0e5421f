// CEvent too: the importer may attribute `timeval` to either module.
internal import CEvent
internal import Glibc

/// What this process costs right now.
public struct ProcessStatistics: Equatable, Sendable {
  /// Resident memory.
  public var residentBytes: Int
  /// User and system time since the start.
  public var cpuSeconds: Double
  /// Open descriptors.
  public var openDescriptors: Int
  /// Threads.
  public var threads: Int

  /// Read from `/proc/self`; a figure that cannot be read is 0.
  public static func current() -> ProcessStatistics {
    var usage = rusage()
    getrusage(RUSAGE_SELF.rawValue, &usage)
    return ProcessStatistics(
      residentBytes: (field(1, of: "/proc/self/statm") ?? 0) * sysconf(Int32(_SC_PAGESIZE)),
      cpuSeconds: seconds(usage.ru_utime) + seconds(usage.ru_stime),
      // Less the one that listing takes.
      openDescriptors: max(0, ((try? Files.list("/proc/self/fd").count) ?? 1) - 1),
      threads: (try? Files.list("/proc/self/task").count) ?? 0)
  }

  private static func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }

  private static func field(_ index: Int, of path: String) -> Int? {
    guard let bytes = try? Files.read(path, limit: 4096) else { return nil }
    let fields = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
    return index < fields.count ? Int(fields[index]) : nil
  }
}

/// This process's heap.
public enum Heap {
  /// Gives free pages back to the system. To start hundreds of checks at once takes more memory than to have them run,
  /// and malloc would hold on to it. Takes a few milliseconds: for moments after rare, big work.
  public static func trim() { malloc_trim(0) }
}

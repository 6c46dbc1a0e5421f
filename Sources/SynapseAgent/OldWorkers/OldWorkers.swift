internal import Reactor

/// The processes of a HAProxy that a reload has replaced and that still have connections.
enum OldWorkers {
  /// One of them.
  struct Worker: Hashable, Sendable {
    var process: ProcessRecord
    /// Since its successor began: no note has to outlive this agent for that.
    var age: Duration
  }

  /// Looks for them, youngest first. Takes a while with many processes on the machine: not on the loop.
  /// - Parameters:
  ///   - current: those that answer at the sockets.
  ///   - listed: those that the master calls old; nil: there is no master to ask.
  static func find(current: Set<Int32>, listed: Set<Int32>?) -> [Worker] {
    let serving = current.compactMap(ProcessRecord.read)
    // A pid of another namespace, perhaps: whatever is found would be somebody else's.
    guard let first = serving.min(by: { $0.startTicks < $1.startTicks }), serving.count == current.count else {
      return []
    }
    let candidates = listed.map { $0.compactMap(ProcessRecord.read) } ?? ProcessRecord.all()
    let old = candidates.filter { isOld($0, before: first, current: current) }
    return aged(old, current: first, now: ProcessRecord.ticksNow)
  }

  /// With the ages, youngest first.
  static func aged(_ old: [ProcessRecord], current: ProcessRecord, now: Int) -> [Worker] {
    var successor = current
    return old.sorted { $0.startTicks > $1.startTicks }.map { process in
      let ticks = max(0, now - successor.startTicks)
      successor = process
      return Worker(process: process, age: .seconds(Double(ticks) / ProcessRecord.ticksPerSecond))
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

  /// What `-f` names.
  static func files(of arguments: [String]) -> [String] {
    zip(arguments, arguments.dropFirst()).compactMap { $0 == "-f" ? $1 : nil }
  }
}

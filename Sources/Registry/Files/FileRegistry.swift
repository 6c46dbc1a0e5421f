internal import Logging
internal import Reactor
internal import SmartStack

/// Registrations as JSON files in directories: one file per registration of this instance.
///
/// A file says what the service was when it was written. Unlike a znode it does not go when its host does; the next
/// run of the instance takes over or removes what it finds.
@LoopActor final class FileRegistry {
  private let clock: LoopClock
  private let logger: Logger
  private var records = UseCount<String, RecordReconciler>()

  init(clock: LoopClock, logger: Logger) {
    self.clock = clock
    self.logger = logger
  }

  /// The file of `target`, shared by all its users, until ``leave(_:)``.
  func join(_ target: FileTarget) -> RecordReconciler {
    records.join(target.path) {
      RecordReconciler(
        place: target.path, clock: clock,
        put: { data in try await BlockingWork.run { try FileRegistry.write(data, to: target) } },
        delete: { _ = try await BlockingWork.run { try Files.remove(target.path) } })
    }
  }

  /// One user of the file less.
  func leave(_ target: FileTarget) { _ = records.leave(target.path) }

  /// Removes from `directories` the unclaimed files of `instance`: an earlier run's.
  func dropLeftovers(of instance: String, in directories: Set<String>) async {
    for directory in directories.sorted() {
      do {
        let ending = FileTarget.nameEnding(of: instance)
        let names = try await BlockingWork.run { () -> [String] in
          do {
            return try Files.list(directory).filter { FileRegistry.isOurs($0, ending: ending) }
          } catch let error as FileError where error.isMissing {
            return []
          }
        }
        for name in names {
          let path = "\(directory)/\(name)"
          if records[path]?.isClaimed == true { continue }
          if try await BlockingWork.run({ try Files.remove(path) }) {
            logger.notice("file of an earlier run removed", with: [.path: path])
          }
        }
      } catch {
        logger.warning("files of earlier runs cannot be removed", with: [.path: directory, .reason: "\(error)"])
      }
    }
  }

  /// Leaves every file as it is.
  func abandon() { for record in records.removeAll().values { record.abandon() } }

  /// A registration of the instance, or what a crash left of one in the making: `.SERVICE@INSTANCE.json.random~`.
  private nonisolated static func isOurs(_ name: String, ending: String) -> Bool {
    if name.hasSuffix(ending) { return true }
    guard name.hasPrefix("."), name.hasSuffix("~"), let dot = name.lastIndex(of: ".") else { return false }
    return name[..<dot].hasSuffix(ending)
  }

  /// A file that says the same already, an earlier run's, only gets a new time.
  private nonisolated static func write(_ data: [UInt8], to target: FileTarget) throws(FileError) {
    if let present = try? Files.read(target.path, limit: data.count), present == data {
      return try Files.touch(target.path, mode: 0o644)
    }
    try Files.makeDirectory(target.directory, mode: 0o755)
    try Files.write(data, to: target.path, mode: 0o644, sync: false)
  }
}

internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Registrations as JSON files in directories: one file per registration of this instance.
///
/// A file says what the service was when it was written. Unlike a znode it does not go when its host does; the next
/// run of the instance takes over or removes what it finds.
@LoopActor final class FileRegistry {
  /// The files that this agent, or a run before it, may have.
  let own: OwnNodes
  private let clock: LoopClock
  private let logger: Logger
  private var records = UseCount<String, RecordReconciler>()

  init(own: OwnNodes = OwnNodes(), clock: LoopClock, logger: Logger) {
    (self.own, self.clock, self.logger) = (own, clock, logger)
  }

  /// The file of `target`, shared by all its users, until ``leave(_:)``.
  func join(_ target: FileTarget) -> RecordReconciler {
    records.join(target.path) {
      RecordReconciler(
        place: target.path, clock: clock,
        put: { [own] data in
          own.note(target.path)
          try await BlockingWork.run { try FileRegistry.write(data, to: target) }
        },
        delete: { [weak self] in _ = try await self?.delete(target.path) })
    }
  }

  /// - Returns: whether there was a file.
  private func delete(_ path: String) async throws -> Bool {
    let wasThere = try await BlockingWork.run { try Files.remove(path) }
    own.strike(path)
    return wasThere
  }

  /// One user of the file less.
  func leave(_ target: FileTarget) { _ = records.leave(target.path) }

  /// Removes the unclaimed files of `instance`: an earlier run's. They are looked for in `directories`, and in those that it
  /// had files in.
  func dropLeftovers(of instance: String, in directories: Set<String>) async {
    let former = own.places.map { String($0[..<($0.lastIndex(of: "/") ?? $0.startIndex)]) }
    for directory in directories.union(former).sorted() {
      do {
        let ending = FileTarget.nameEnding(of: instance)
        let names = try await BlockingWork.run { () -> [String] in
          do {
            return try Files.list(directory).filter { FileRegistry.isOurs($0, ending: ending) }
          } catch let error as FileError where error.isMissing {
            return []
          }
        }
        for path in names.map({ "\(directory)/\($0)" }) where records[path]?.isClaimed != true {
          await dropLeftover(path)
        }
      } catch {
        logger.warning("files of earlier runs cannot be removed", with: [.path: directory, .reason: "\(error)"])
      }
    }
  }

  private func dropLeftover(_ path: String) async {
    do {
      if try await delete(path) { logger.notice("file of an earlier run removed", with: [.path: path]) }
    } catch {
      logger.warning("files of earlier runs cannot be removed", with: [.path: path, .reason: "\(error)"])
    }
  }

  /// Removes every file; what cannot be removed stays noted for the next run.
  func close() async {
    abandon()
    for path in own.places { _ = try? await delete(path) }
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

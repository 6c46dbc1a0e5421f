internal import Glibc
internal import Reactor

/// How many times longer than usual anything may take that a test waits for: `SMARTSTACK_TEST_PATIENCE`, for sanitizers
/// and loaded machines.
public let patience = getenv("SMARTSTACK_TEST_PATIENCE").flatMap { Int(String(cString: $0)) }.map { max(1, $0) } ?? 1

/// A condition did not come true in time.
public struct ConditionTimeout: Error, CustomStringConvertible {
  /// What was waited for.
  public let description: String
}

/// Waits until `condition` holds, looking again every few milliseconds.
/// - Parameter what: asked for when the time is up, so it may say how far things are.
/// - Throws: ``ConditionTimeout`` after `limit` times ``patience``. The limit only ends a hung test; it is no pass mark.
@LoopActor public func eventually(
  _ what: @autoclosure @LoopActor () -> String, within limit: Duration = .seconds(60),
  _ condition: @LoopActor () async throws -> Bool
) async throws {
  let limit = limit * patience
  let end = ContinuousClock.now + limit
  while true {
    if try await condition() { return }
    if ContinuousClock.now > end { throw ConditionTimeout(description: "not within \(limit): \(what())") }
    try await LoopClock.system.sleep(for: .milliseconds(5))
  }
}

/// A directory of its own for one test, removed with everything in it when the value goes.
public final class TemporaryDirectory: Sendable {
  /// Absolute path, without a trailing slash.
  public let path: String

  /// Makes the directory below the system's temporary one.
  public init() {
    let template = "/tmp/smartstack-test.XXXXXX"
    path = template.withCString { pattern in
      var bytes = Array(UnsafeBufferPointer(start: pattern, count: template.utf8.count + 1))
      return bytes.withUnsafeMutableBufferPointer { buffer in
        guard let base = buffer.baseAddress, let made = mkdtemp(base) else {
          preconditionFailure("mkdtemp failed with errno \(errno)")
        }
        return String(cString: made)
      }
    }
  }

  deinit { TemporaryDirectory.remove(path) }

  private static func remove(_ path: String) {
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
          pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        guard name != ".", name != ".." else { continue }
        let child = path + "/" + name
        if entry.pointee.d_type == UInt8(DT_DIR) { remove(child) } else { unlink(child) }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}

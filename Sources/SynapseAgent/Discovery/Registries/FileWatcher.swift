internal import Logging
internal import Reactor
internal import SmartStack

/// A `discovery` section with method file.
public struct FileDiscovery: Hashable, Sendable {
  /// The directory of the registrations, without a trailing slash.
  public var path: String
  /// `service`: only files of this service, by the name that nerve gives them (`SERVICE@INSTANCE.json`); nil: all.
  public var service: String?
  /// `check_interval`: how often it is read even if nothing seems to have changed.
  public var interval: Duration = .seconds(30)
}

/// Follows a directory of JSON files, one registration each, as nerve's file reporter keeps them.
@LoopActor final class FileWatcher: ServiceWatcher {
  let name: String
  private let discovery: FileDiscovery
  private let poll: PollWatcher

  init(service: ServiceConfiguration, discovery: FileDiscovery, context: AgentContext) {
    name = service.name
    self.discovery = discovery
    let part = PolledPart(place: discovery.path) {
      try await BlockingWork.run { try RegistrationDirectory.read(discovery) }
    }
    poll = PollWatcher(
      service: service, schedule: PollSchedule(interval: discovery.interval), parts: [part], context: context)
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    // Without a parent directory there is nothing to watch yet; the next readings find it.
    let watch = try? FileWatch(path: discovery.path) { [weak self] _ in self?.poll.wake() }
    try await poll.run(publish)
    watch?.cancel()
  }
}

/// Registrations as files.
enum RegistrationDirectory {
  /// The longest file that is read.
  static let limit = 1 << 20

  /// All registrations, in the order of their files' names. An absent directory is an empty one, and a file that goes
  /// meanwhile is not there.
  static func read(_ discovery: FileDiscovery) throws(FileError) -> PartReading {
    var reading = PartReading()
    for name in try list(discovery) {
      let path = "\(discovery.path)/\(name)"
      do throws(FileError) {
        let bytes = try Files.read(path, limit: limit)
        do throws(RegistrationProblem) {
          let decoded = try RegistrationCodec.decode(payload: bytes, name: String(name.dropLast(".json".count)))
          reading.backends.append(decoded.backend)
          if !decoded.ignored.isEmpty { reading.ignored[path] = decoded.ignored }
        } catch {
          reading.skipped[path] = error.description
        }
      } catch {
        if error.isMissing { continue }
        reading.skipped[path] = error.description
      }
    }
    return reading
  }

  private static func list(_ discovery: FileDiscovery) throws(FileError) -> [String] {
    let names: [String]
    do throws(FileError) { names = try Files.list(discovery.path) } catch {
      if error.isMissing { return [] }
      throw error
    }
    let start = discovery.service.map { escaped($0) + "@" } ?? ""
    return names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") && $0.hasPrefix(start) }
  }

  /// As nerve's file reporter writes a service's name.
  static func escaped(_ service: String) -> String {
    var out = ""
    for byte in service.utf8 {
      let isPlain =
        (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte & 0xDF) || byte == 0x2D || byte == 0x5F
        || byte == 0x2E && !out.isEmpty
      out += isPlain ? String(UnicodeScalar(byte)) : (byte < 16 ? "%0" : "%") + String(byte, radix: 16)
    }
    return out
  }
}

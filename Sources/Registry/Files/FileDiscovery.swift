internal import Reactor
internal import SmartStack
public import YAMLConfig

/// A `discovery` section with method file.
public struct FileDiscovery: DiscoverySettings {
  /// The directory of the registrations, without a trailing slash.
  public var path: String
  /// `service`: only files of this service, by the name that nerve gives them (`SERVICE@INSTANCE.json`); nil: all.
  public var service: String?
  /// `check_interval`: how often it is read even if nothing seems to have changed.
  public var interval: Duration = .seconds(30)

  /// Registrations in the directory `path`.
  public init(path: String, service: String? = nil) {
    self.path = path
    self.service = service
  }

  /// Decodes a section with method file.
  public init(_ source: DiscoverySource) throws(ConfigError) {
    path = try source.section.string("path")
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw source.section.error(at: "path", "'\(path)' is not an absolute path of a directory")
    }
    service = try source.section.optionalString("service")
    interval = try source.interval(default: interval)
  }

  /// The directory, for an operator.
  public var place: String { "file \(path)" }

  /// A watcher of the directory.
  @LoopActor public func makeWatcher(
    in environment: WatchEnvironment, filters: [LabelFilter]
  ) -> any RegistryWatcher {
    let part = PolledPart(place: path) { try await BlockingWork.run { try RegistrationDirectory.read(self) } }
    return FileWatcher(
      path: path,
      poll: PollWatcher(
        every: interval, of: [part], environment: environment,
        policy: environment.policy(for: .servers, with: filters)))
  }
}

/// Follows a directory of JSON files, one registration each, as nerve's file reporter keeps them.
@LoopActor private final class FileWatcher: RegistryWatcher {
  private let path: String
  private let poll: PollWatcher

  init(path: String, poll: PollWatcher) {
    self.path = path
    self.poll = poll
  }

  func run(_ deliver: @escaping @LoopActor (RegistryReading) -> Void) async throws {
    // Without a parent directory there is nothing to watch yet; the next readings find it.
    let watch = try? FileWatch(path: path) { [weak self] _ in self?.poll.wake() }
    try await poll.run(deliver)
    watch?.cancel()
  }
}

/// Registrations as JSON files, as nerve keeps them.
enum RegistrationDirectory {
  /// The longest file that is read.
  static let limit = 1 << 20

  /// All registrations, in the order of their files' names. An absent directory is an empty one, and a file that goes
  /// meanwhile is not there.
  static func read(_ discovery: FileDiscovery) throws(FileError) -> RegistryReading {
    var reading = RegistryReading()
    for name in try list(discovery) {
      let path = "\(discovery.path)/\(name)"
      do throws(FileError) {
        let bytes = try Files.read(path, limit: limit)
        do throws(OperatorError) {
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
    let start = discovery.service.map(FileTarget.nameBeginning(of:)) ?? ""
    return names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") && $0.hasPrefix(start) }
  }
}

internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// A `discovery` section with method file.
struct FileDiscovery: DiscoverySettings {
  /// The directory of the registrations, without a trailing slash.
  var path: String
  /// `service`: only files of this service, by the name that nerve gives them (`SERVICE@INSTANCE.json`); nil: all.
  var service: String?
  /// `check_interval`: how often it is read even if nothing seems to have changed.
  var interval: Duration = .seconds(30)

  /// The longest file that is read.
  private static let limit = 1 << 20

  init(_ source: DiscoverySource) throws(ConfigError) {
    path = try source.section.string("path")
    while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard path.hasPrefix("/"), !path.utf8.contains(0) else {
      throw source.section.error(at: "path", "'\(path)' is not an absolute path of a directory")
    }
    service = try source.section.optionalString("service")
    interval = try source.interval(default: interval)
  }

  var place: String { "file \(path)" }

  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    let part = PolledPart(place: path) { try await BlockingWork.run { try read() } }
    return PollWatcher(every: interval, of: [part], environment: environment) { wake in
      // Without a parent directory there is nothing to watch yet; the next readings find it.
      let watch = try? FileWatch(path: path) { _ in wake() }
      await untilCancelled()
      watch?.cancel()
    }
  }

  /// All registrations, in the order of their files' names. An absent directory is an empty one, and a file that goes
  /// meanwhile is not there.
  func read() throws(FileError) -> RegistryReading {
    var reading = RegistryReading()
    for name in try list() {
      let path = "\(path)/\(name)"
      do throws(FileError) {
        let bytes = try Files.read(path, limit: FileDiscovery.limit)
        reading.add(at: path) { () throws(OperatorError) in
          try RegistrationCodec.decode(payload: bytes, name: String(name.dropLast(".json".count)))
        }
      } catch {
        if !error.isMissing { reading.skipped[path] = error.description }
      }
    }
    return reading
  }

  private func list() throws(FileError) -> [String] {
    let names: [String]
    do throws(FileError) { names = try Files.list(path) } catch {
      if error.isMissing { return [] }
      throw error
    }
    let start = service.map(FileTarget.nameBeginning(of:)) ?? ""
    return names.filter { $0.hasSuffix(".json") && !$0.hasPrefix(".") && $0.hasPrefix(start) }
  }
}

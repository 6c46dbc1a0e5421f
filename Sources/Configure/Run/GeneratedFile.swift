internal import AgentKit
internal import Glibc
public import Reactor
internal import SmartStack

/// A configuration file that a tool writes for an agent.
///
/// Readers see the old file or the new one. A change that the agent was not yet notified of is remembered beside the
/// file, so that the next run tries a restart that failed again.
public struct GeneratedFile: Sendable {
  /// How the current file compares with the new one.
  public enum Standing: Sendable {
    /// There is no file.
    case missing
    case same
    case different
  }

  /// The path of the generated file.
  public let path: String
  private var marker: String { path + ".changed" }

  /// A file that need not exist.
  public init(path: String) { self.path = path }

  /// Compares the current file with `bytes`.
  /// - Throws: when there is a file that cannot be read.
  public func standing(_ bytes: [UInt8]) throws(FileError) -> Standing {
    do throws(FileError) { return try Files.holds(path, exactly: bytes) ? .same : .different } catch {
      if error.code == ENOENT { return .missing }
      throw error
    }
  }

  /// Writes `bytes`, mode 0644.
  /// - Parameters:
  ///   - standing: what ``standing(_:)`` gave; the same bytes are not written again.
  ///   - touches: whether the same bytes get a new date, which monitoring looks at.
  ///   - sync: whether the change survives a power failure; takes as long as the disk does.
  public func update(
    with bytes: [UInt8], standing: Standing, touches: Bool = true, sync: Bool = true
  ) throws(FileError) {
    if standing == .same {
      if touches { try Files.touch(path, mode: 0o644) }
      return
    }
    try announce()
    try Files.write(bytes, to: path, mode: 0o644, sync: sync)
  }

  /// Notes that the file is about to change: whatever happens now, some run notifies the agent of it.
  public func announce() throws(FileError) { try Files.touch(marker, mode: 0o644) }

  /// The current file; nil when there is none, or it cannot be read.
  private var current: [UInt8]? { try? Files.read(path, limit: 256 << 20) }

  /// The lines that would change; of a file that cannot be read, all.
  public func diff(_ bytes: [UInt8], inColor: Bool) -> String {
    let before = current
    return TextDiff.unified(
      from: before.map { String(decoding: $0, as: UTF8.self) }, to: String(decoding: bytes, as: UTF8.self),
      names: (path, path + " (new)"), inColor: inColor)
  }

  /// Whether the agent was not notified of the last change yet.
  public var isPending: Bool { Files.exists(marker) }

  /// Notes that the agent was notified.
  public func settle() throws(FileError) { try Files.remove(marker) }
}

extension GeneratedFile {
  /// The parts that would change, one level below the sections: `services.web.main would be added`, `haproxy.global would
  /// change`…, sorted by kind of change and name.
  func changedParts(_ bytes: [UInt8]) -> [String] {
    let (before, after) = (GeneratedFile.parts(of: current ?? []), GeneratedFile.parts(of: bytes))
    let added = after.keys.filter { before[$0] == nil }
    let removed = before.keys.filter { after[$0] == nil }
    let changed = after.keys.filter { name in before[name].map { $0 != after[name] } ?? false }
    return [(added, "would be added"), (removed, "would be removed"), (changed, "would change")].flatMap {
      names, words in
      names.sorted().map { "\($0) \(words)" }
    }
  }

  private static func parts(of bytes: [UInt8]) -> [String: JSONValue] {
    var parts: [String: JSONValue] = [:]
    for (section, value) in JSONValue(bytes)?.object?.members ?? [] {
      guard let members = value.object?.members, !members.isEmpty else {
        parts[section] = value
        continue
      }
      for (name, value) in members { parts["\(section).\(name)"] = value }
    }
    return parts
  }
}

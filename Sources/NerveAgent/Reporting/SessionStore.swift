internal import Logging
internal import Reactor
internal import SmartStack
internal import ZooKeeper

/// Keeps the ZooKeeper sessions in files, so that the next start, after a crash, carries them on and
/// finds its registrations still there. One file per ensemble and instance, readable by the owner only:
/// whoever knows a session owns its nodes.
@LoopActor final class SessionStore {
  private let directory: String
  private let instanceID: String
  private let logger: Logger
  private var isBroken = false

  init(directory: String, instanceID: String, logger: Logger) {
    self.directory = directory
    self.instanceID = instanceID
    self.logger = logger
  }

  /// What the last run left for `ensemble`.
  func load(_ ensemble: String) -> SavedSession? {
    guard let bytes = try? Files.read(path(ensemble), limit: 64 << 10) else { return nil }
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
    // The name holds a hash of the ensemble; the first line makes sure.
    guard lines.count >= 2, lines[0] == ensemble else { return nil }
    return SavedSession(text: String(lines[1]))
  }

  /// Replaces the file. A failure costs the resume after a crash, nothing else.
  func save(_ session: SavedSession, of ensemble: String) {
    do {
      try AtomicFile.write(Array("\(ensemble)\n\(session.text)\n".utf8), to: path(ensemble), mode: 0o600, sync: false)
      isBroken = false
    } catch {
      if !isBroken {
        logger.warning("session not saved; a crash would not resume it", [.ensemble: ensemble, .reason: error])
      }
      isBroken = true
    }
  }

  /// The session has been ended: nobody shall try to carry it on.
  func forget(_ ensemble: String) { _ = try? Files.remove(path(ensemble)) }

  private func path(_ ensemble: String) -> String {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in ensemble.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return "\(directory)/session-\(FileName.safe(instanceID))-\(String(hash, radix: 16))"
  }
}

/// File names made of what operators write.
enum FileName {
  /// Letters, digits, dots, dashes and underscores stay; every other byte becomes `%XX`.
  static func safe(_ text: String) -> String {
    var out = ""
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        out.unicodeScalars.append(Unicode.Scalar(byte))
      default: out += "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16, uppercase: true)
      }
    }
    return out
  }
}

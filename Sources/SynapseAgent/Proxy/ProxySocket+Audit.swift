internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import Reactor

/// Whether what runs is still what was brought about.
extension ProxySocket {
  /// What an audit came to.
  enum Audit {
    case agrees, differs
    /// Something was done meanwhile: what was read is neither before nor after it.
    case overtaken
    /// Not even what was wanted last has come about.
    case unsettled
  }

  /// Compares the servers as they are with those seen last. While nothing happens, it costs one pass over the answer's
  /// bytes; only an answer unlike the one before is read.
  func audit() async throws(HAProxyRuntimeError) -> Audit {
    let epoch = epoch
    guard isInAgreement, let seen = running else { return .unsettled }
    let text = try await client.run(.showServers)
    let before = audited
    let work = try? await BlockingWork.run { () -> (digest: UInt64, agrees: Bool) in
      let digest = ServerDigest.of(text)
      if let before, before.digest == digest, before.epoch == epoch { return (digest, true) }
      return (digest, try ProxySocket.agrees(ServerStates.parse(text), seen))
    }
    guard let work, self.epoch == epoch else { return .overtaken }
    audited = work.agrees ? (work.digest, epoch) : nil
    return work.agrees ? .agrees : .differs
  }

  private nonisolated static func agrees(_ states: [ServerState], _ seen: RunningProxy) -> Bool {
    let byBackend = Dictionary(grouping: states, by: \.backend).mapValues { RunningProxy.servers($0) }
    return seen.backends.allSatisfy { name, backend in
      let now = byBackend[name] ?? [:]
      return now.count == backend.servers.count
        && backend.servers.allSatisfy { entry in now[entry.key].map { isSame($0, entry.value) } ?? false }
    }
  }

  /// Whether the parts that commands set are the same; what checks and DNS do is HAProxy's own.
  private nonisolated static func isSame(_ one: RunningServer, _ other: RunningServer) -> Bool {
    let ours: AdminState = [.forcedMaintenance, .forcedDrain]
    return one.id == other.id && one.address == other.address && one.port == other.port && one.weight == other.weight
      && one.adminState.intersection(ours) == other.adminState.intersection(ours)
      && one.checkState.contains(.enabled) == other.checkState.contains(.enabled)
  }
}

/// A fingerprint of `show servers state` without the columns that change by themselves.
enum ServerDigest {
  /// Names, ids, address, administrative state, weights, port; the columns have stood there since HAProxy 1.8.
  private static let columns: UInt64 = [0, 1, 2, 3, 4, 6, 7, 8, 18].reduce(0) { $0 | 1 << $1 }

  static func of(_ text: String) -> UInt64 {
    var text = text
    return text.withUTF8 { bytes in
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      var column: UInt64 = 0
      for byte in bytes {
        switch byte {
        case 10: column = 0
        case 32: column += 1
        default: break
        }
        if column > 63 || columns >> column & 1 == 0 { continue }
        hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3
      }
      return hash
    }
  }
}

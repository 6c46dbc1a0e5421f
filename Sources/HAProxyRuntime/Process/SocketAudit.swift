internal import HAProxyConfigGen
internal import Reactor
internal import SmartStack

/// The comparison of what runs with what commands have brought about.
extension ProxySocket {
  /// Compares servers and frontends as they are with those observed last. While nothing changes, it costs one pass over the
  /// answer's bytes; only an answer unlike the one before is read.
  /// - Returns: whether HAProxy differs, which another program must have brought about; false: not even the last model
  ///   has been brought about, or servers wait for their deletion; nil: nothing is to be repaired, or a change was made meanwhile.
  public func audit() async throws(HAProxyRuntimeError) -> Bool? {
    let epoch = epoch
    // While HAProxy tries to bind what a new file asks for, its frontends rest.
    if isReloading { return nil }
    guard isInSync, let seen = running else { return false }
    let answers = try await client.run([.showServers, .showFrontends])
    guard let text = try answers.first?.get(), let frontends = try answers.last?.get() else { return nil }
    let before = lastAgreement
    let work = try? await BlockingWork.plans.run { () -> (digest: StableHash, agrees: Bool) in
      let digest = hashServers(text)
      let closed = RunningProxy.closedFrontends(in: frontends)
      guard closed.paused == seen.pausedFrontends, closed.stopped == seen.stoppedFrontends else {
        return (digest, false)
      }
      if let before, before.digest == digest, before.epoch == epoch { return (digest, true) }
      let now = try RunningProxy.backends(in: text)
      return (digest, seen.backends.allSatisfy { agree(now[$0.key] ?? [:], with: $0.value) })
    }
    guard let work, self.epoch == epoch, !isReloading else { return nil }
    lastAgreement = work.agrees ? (work.digest, epoch) : nil
    if work.agrees { return hasDepartures ? false : nil }
    return true
  }
}

private func agree(_ servers: [String: RunningServer], with others: [String: RunningServer]) -> Bool {
  servers.count == others.count
    && others.allSatisfy { entry in servers[entry.key].map { $0.agrees(with: entry.value) } ?? false }
}

extension RunningServer {
  /// Whether the parts that commands set are equal; checks and DNS change the others.
  fileprivate func agrees(with other: RunningServer) -> Bool {
    // An agent's word counts.
    let ours: AdminState = agentState.contains(.configured) ? [] : [.forcedMaintenance, .forcedDrain]
    return id == other.id && address == other.address && port == other.port && weight == other.weight
      && adminState.intersection(ours) == other.adminState.intersection(ours)
      && checkState.contains(.enabled) == other.checkState.contains(.enabled)
  }
}

/// The hash of `show servers state` without the columns that change by themselves.
private func hashServers(_ text: String) -> StableHash {
  // Names, ids, address, administrative state, weights, port; the columns have stood there since HAProxy 1.8.
  let columns: UInt64 = [0, 1, 2, 3, 4, 6, 7, 8, 18].reduce(0) { $0 | 1 << $1 }
  var text = text
  return text.withUTF8 { bytes in
    var hash = StableHash()
    var column: UInt64 = 0
    for byte in bytes {
      switch byte {
      case 10: column = 0
      case 32: column += 1
      default: break
      }
      if column <= 63, columns >> column & 1 == 1 { hash.add(byte) }
    }
    return hash
  }
}

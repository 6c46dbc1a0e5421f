internal import HAProxyConfigGen
internal import SmartStack
internal import YAMLConfig

/// The servers of services of which the registry has no data yet: from the state file, else from what HAProxy runs.
enum RememberedServers {
  /// The servers of `service` that the state file holds and that are not past their time.
  static func inState(_ state: YAMLNode?, service: String, timeToLive: Int, now: Int) -> [Backend] {
    guard let node = state?[service], case .mapping(let entries) = node.value else { return [] }
    return entries.compactMap { entry in
      guard entry.name != "watcher_config_for_generator", case .mapping = entry.value.value,
        let timestamp = try? entry.value["timestamp"]?.int(), abs(now - timestamp) <= timeToLive
      else { return nil }
      // The same rules as for what comes from the registry: the file may be anybody's.
      let payload = Array(entry.value.json().utf8)
      return (try? RegistrationCodec.decode(payload: payload, name: ""))?.backend
    }
  }

  /// The servers that a running backend has in service.
  static func running(_ backend: RunningBackend?) -> [Backend] {
    guard let backend else { return [] }
    return backend.servers.sorted { $0.value.id < $1.value.id }.compactMap { name, server in
      guard let address = server.address, isInService(server.adminState) else { return nil }
      let host = address.contains(":") ? "[\(address)]" : address
      guard let prefix = [address, host].map({ "\($0):\(server.port)" }).first(where: name.hasSuffix) else {
        return nil
      }
      let front = name.dropLast(prefix.count)
      guard front.isEmpty || front.hasSuffix("_") else { return nil }
      return Backend(name: front.isEmpty ? nil : String(front.dropLast()), host: address, port: server.port)
    }
  }

  private static func isInService(_ state: AdminState) -> Bool {
    state.isDisjoint(with: [.forcedMaintenance, .inheritedMaintenance])
  }
}

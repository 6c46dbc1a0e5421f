internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import SmartStack

extension HAProxyOutput {
  /// Servers and traffic as HAProxy sees them; of several processes the first that answers counts. nil: none does.
  func statistics() async -> StatsPage? {
    for socket in socketSync.sockets {
      if let page = try? await socket.statistics() { return page }
    }
    return nil
  }

  /// A sentence for an HAProxy that may have fewer descriptors open than its `maxconn` needs; nil: it has enough.
  func descriptorShortage() async -> String? {
    await socketSync.descriptorShortage(global: configuration.generator.global)
  }

  /// Whether nothing is left to be done.
  var isCurrent: Bool { file.isCurrent && socketSync.isInSync }

  /// Whether there is nothing for an operator to do: HAProxy answers and is in sync, nothing is skipped, and the last
  /// reload was good.
  private var isOK: Bool {
    socketSync.sockets.allSatisfy { $0.isInSync && $0.pid != nil } && wanted.model.problems.isEmpty
      && reloads.history.last?.failure == nil
  }

  /// HAProxy's part of `synapse status`.
  var status: JSONObject {
    var status = JSONObject()
    status["ok"] = .bool(isOK)
    status["file"] = .string(configuration.filePath)
    status["file_is_current"] = .bool(file.isCurrent)
    status["sockets"] = .array(
      socketSync.sockets.map { socket in
        [
          "path": .string(socket.path), "pid": socket.pid.map { .int($0) } ?? .null,
          "version": socket.version.map { .string($0) } ?? .null, "in_sync": .bool(socket.isInSync),
          "through_master": .bool(socket.isThroughMaster), "added_servers": .int(socket.addedServers),
          "drifts": .int(socket.drifts),
        ]
      })
    status["reload_needed_because"] = .array(socketSync.reloadReasons.map { .string($0.description) })
    status["problems"] = .array(wanted.model.problems.map { .string($0.description) })
    status["reloads"] = .array(
      reloads.history.map { record in
        [
          "time": .double(record.at), "reason": .string(record.reason),
          "failure": record.failure.map { .string($0) } ?? .null, "seconds": .double(record.elapsed / .seconds(1)),
        ]
      })
    return status
  }
}

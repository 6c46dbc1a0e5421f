internal import HAProxyConfigGen
internal import HAProxyRuntime
internal import SmartStack

extension HAProxyOutput {
  /// Whether nothing is left to be done.
  var isCurrent: Bool { file.isCurrent && socketSync.isInSync }

  /// HAProxy's part of `synapse status`.
  var status: JSONObject {
    var status = JSONObject()
    status["file"] = .string(configuration.filePath)
    status["file_is_current"] = .bool(file.isCurrent)
    status["sockets"] = .array(
      socketSync.sockets.map { socket in
        [
          "path": .string(socket.path), "pid": socket.pid.map { .int($0) } ?? .null,
          "version": socket.version.map { .string($0) } ?? .null, "is_in_agreement": .bool(socket.isInSync),
          "is_through_master": .bool(socket.isThroughMaster), "added_servers": .int(socket.addedServers),
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

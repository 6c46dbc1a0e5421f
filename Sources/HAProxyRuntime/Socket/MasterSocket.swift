public import Reactor

/// The command line of HAProxy's master process (`haproxy -W -S PATH`).
@LoopActor public struct MasterSocket {
  /// Process ids of the workers that serve, of those that a reload has replaced and that still have connections, and the
  /// number of reloads in a row that the master could not carry out.
  public typealias Processes = (current: [Int], old: [Int], failedReloads: Int)

  /// Path of the socket.
  public nonisolated let path: String

  /// - Parameter path: of the Unix socket that `-S` names.
  public nonisolated init(path: String) { self.path = path }

  /// Asks the master to load its file. That it took the command does not mean that it will succeed, before HAProxy 2.7:
  /// it executes itself again and only then reads the file.
  public func reload(within limit: Duration) async throws(HAProxyRuntimeError) {
    let answer = try await ask("reload", within: limit)
    // 2.7 and later say how it went, with the alerts below.
    if answer.hasPrefix("Success=0") || answer.hasPrefix("Unknown command") || answer.hasPrefix("Permission denied") {
      throw .refused(command: "reload", reply: String(answer.suffix(1000)))
    }
  }

  /// Has the worker that serves run a command.
  /// - Returns: its reply.
  func pass(_ command: SocketCommand, within limit: Duration) async throws(HAProxyRuntimeError) -> String {
    let reply = try await ask("@1 \(command.text)", within: limit)
    return reply.hasSuffix("\n") ? String(reply.dropLast()) : reply
  }

  /// The workers there are.
  public func processes(within limit: Duration) async throws(HAProxyRuntimeError) -> Processes {
    try MasterSocket.parse(try await ask("show proc", within: limit))
  }

  /// Reads the answer to `show proc`: sections `# workers` and `# old workers`, a line per process.
  nonisolated static func parse(_ answer: String) throws(HAProxyRuntimeError) -> Processes {
    guard answer.contains("master") else {
      throw .malformed(command: "show proc", reason: "no line of a master; is this the socket of `-S`?")
    }
    var processes: Processes = ([], [], 0)
    var isOld = false
    for line in answer.split(separator: "\n") {
      if line.hasPrefix("#") {
        isOld = line.contains("old")
        continue
      }
      let words = line.split(separator: " ")
      if words.count >= 2, words[1] == "master", let mark = line.firstRange(of: "[failed: ") {
        processes.failedReloads = Int(line[mark.upperBound...].prefix { $0.isNumber }) ?? 0
      }
      guard words.count >= 2, words[1] == "worker", let pid = Int(words[0]) else { continue }
      if isOld { processes.old.append(pid) } else { processes.current.append(pid) }
    }
    return processes
  }

  /// One command on a connection of its own.
  private func ask(_ command: String, within limit: Duration) async throws(HAProxyRuntimeError) -> String {
    let stream: ByteStream
    do { stream = try await ByteStream.connect(to: .unix(path: path), deadline: limit) } catch {
      if case StreamError.refused(_, let reason) = error { throw .noMaster(socket: path, reason: reason) }
      throw .noMaster(socket: path, reason: "\(error)")
    }
    defer { stream.close() }
    do {
      // Without `quit` the master waits for the next command.
      try stream.write(command + ";quit\n")
      return String(decoding: try await stream.readToEnd(limit: 256 << 20), as: UTF8.self)
    } catch StreamError.timedOut {
      throw .timedOut(command: command, after: limit)
    } catch {
      throw .closed(command: command)
    }
  }
}

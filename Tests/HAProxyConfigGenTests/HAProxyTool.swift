import Glibc
import HAProxyConfigGen
import TestSupport

/// The installed HAProxy: checks files, and runs for one test.
enum HAProxyTool {
  /// What `haproxy -c` says of `text`; a file without any listener counts as accepted.
  static func check(_ text: String) throws -> (isAccepted: Bool, alerts: [CheckAlert], output: String) {
    let directory = TemporaryDirectory()
    let path = directory.path + "/haproxy.cfg"
    try write(text, to: path)
    let output = directory.path + "/output"
    let status = try wait(spawn(["haproxy", "-c", "-f", path], output: output))
    let words = read(output)
    return (status == 0 || words.contains("no listener"), CheckAlert.all(in: words, path: path), words)
  }

  /// The installed release.
  static func version() throws -> HAProxyVersion {
    let directory = TemporaryDirectory()
    _ = try wait(spawn(["haproxy", "-v"], output: directory.path + "/output"))
    let word = read(directory.path + "/output").split(separator: " ").dropFirst(2).first ?? ""
    guard let version = HAProxyVersion(String(word)) else { throw ToolError(description: "no version: \(word)") }
    return version
  }

  /// Renders, checks and leaves out what is refused, as the agent does.
  /// - Returns: the accepted file, or the last one if it cannot be repaired.
  static func settle(_ model: inout ProxyModel) throws -> (file: RenderedConfiguration, isAccepted: Bool) {
    while true {
      let file = model.render()
      let (isAccepted, alerts, output) = try check(file.text)
      if isAccepted { return (file, isAccepted) }
      if model.skip(refusedBy: alerts, of: file) { continue }
      var search = UnitSearch(model, message: output)
      while let parts = search.next {
        let (isAccepted, _, output) = try check(model.render(without: parts).text)
        search.record(refusal: isAccepted ? nil : output)
      }
      if !model.skip(search.found) { return (file, isAccepted) }
    }
  }

  static func spawn(_ arguments: [String], output: String) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // What the test's process has open (its caller's locks, too) is no business of a server it starts.
    for descriptor in Int32(3)..<256 { posix_spawn_file_actions_addclose(&actions, descriptor) }
    var pid: pid_t = 0
    let words = arguments.map { strdup($0) }
    defer { for word in words { free(word) } }
    let code = posix_spawnp(&pid, arguments[0], &actions, nil, words + [nil], environ)
    guard code == 0 else {
      throw ToolError(description: "cannot run \(arguments[0]): \(String(cString: strerror(code)))")
    }
    return pid
  }

  static func wait(_ pid: pid_t) throws -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0 {
      guard errno == EINTR else { throw ToolError(description: "waitpid: errno \(errno)") }
    }
    return status & 0x7F == 0 ? status >> 8 & 0xFF : -1
  }

  static func write(_ text: String, to path: String) throws {
    guard let file = fopen(path, "w") else { throw ToolError(description: "cannot write \(path)") }
    defer { fclose(file) }
    var text = text
    text.withUTF8 { bytes in _ = fwrite(bytes.baseAddress, 1, bytes.count, file) }
  }

  static func read(_ path: String) -> String {
    guard let file = fopen(path, "r") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&buffer, 1, buffer.count, file), count > 0 { bytes += buffer[..<count] }
    return String(decoding: bytes, as: UTF8.self)
  }
}

struct ToolError: Error, CustomStringConvertible {
  var description: String
}

/// A HAProxy process with a stats socket, ended with the value.
final class RunningHAProxy {
  let directory: TemporaryDirectory
  let socket: String
  private let pid: pid_t

  /// - Parameter text: the file; `SOCKET` in it stands for the stats socket's path.
  init(_ text: String) async throws {
    directory = TemporaryDirectory()
    socket = directory.path + "/s"
    let path = directory.path + "/haproxy.cfg"
    try HAProxyTool.write(text.replacingSocket(with: socket), to: path)
    pid = try HAProxyTool.spawn(["haproxy", "-db", "-f", path], output: directory.path + "/log")
    let socket = socket
    try await eventually("HAProxy answers") { (try? RunningHAProxy.ask("show info", at: socket)) != nil }
  }

  deinit {
    kill(pid, SIGTERM)
    _ = try? HAProxyTool.wait(pid)
  }

  func ask(_ command: String) throws -> String { try RunningHAProxy.ask(command, at: socket) }

  private static func ask(_ command: String, at path: String) throws -> String {
    let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let connected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard connected == 0 else { throw ToolError(description: "no answer at \(path)") }
    let bytes = Array((command + "\n").utf8)
    guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
      throw ToolError(description: "cannot send \(command)")
    }
    var reply: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while case let count = recv(descriptor, &buffer, buffer.count, 0), count > 0 { reply += buffer[..<count] }
    return String(decoding: reply, as: UTF8.self)
  }

  /// What the agent's room for the stats socket gives the planner.
  func state() throws -> RunningProxy {
    var proxy = RunningProxy(version: try HAProxyTool.version(), backends: [:])
    for line in try ask("show backend").split(separator: "\n") where !line.hasPrefix("#") {
      proxy.backends[String(line)] = [:]
    }
    for line in try ask("show servers state").split(separator: "\n").dropFirst(2) {
      let columns = line.split(separator: " ").map(String.init)
      guard columns.count > 18 else { continue }
      let number = { (index: Int) in Int(columns[index]) ?? 0 }
      proxy.backends[columns[1], default: [:]][columns[3]] = RunningServer(
        id: number(2), address: columns[4] == "-" ? nil : columns[4], port: number(18), weight: number(7),
        adminState: AdminState(rawValue: UInt8(number(6))), checkState: CheckState(rawValue: UInt8(number(13))),
        agentState: CheckState(rawValue: UInt8(number(14))))
    }
    return proxy
  }

  /// Runs commands; throws on the first that is refused and not optional.
  func run(_ commands: [RuntimeCommand]) throws {
    for command in commands {
      let reply = try ask(command.text)
      guard command.accepts(reply: reply) || command.isOptional else {
        throw ToolError(description: "\(command): \(reply)")
      }
    }
  }
}

extension String {
  func replacingSocket(with path: String) -> String {
    split(separator: "SOCKET", omittingEmptySubsequences: false).joined(separator: path)
  }
}

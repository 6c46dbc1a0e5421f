public import Glibc
public import Reactor

/// What went wrong with a server of a test.
public struct ServerTrouble: Error, CustomStringConvertible {
  /// A sentence.
  public let description: String

  /// Says it.
  public init(description: String) { self.description = description }
}

/// One standalone ZooKeeper on a free port of loopback, with its data in a directory of its own.
///
/// Debian's package `zookeeper` has to be installed. The process dies with the tests, however they end.
@LoopActor public final class ZooKeeperServer {
  /// The port, the same after every restart.
  public let port: Int
  /// What a client connects to.
  public var connection: String { "\(host):\(port)" }
  /// The Java process; 0 while there is none.
  public private(set) var pid: pid_t = 0

  private var host = "127.0.0.1"
  private let lines: [String]
  private let directory = TemporaryDirectory()
  private let isMember: Bool
  private let speaksTLS: Bool
  /// Debian's `zookeeper.jar` names all that a server needs but for TLS.
  private static let classes =
    ["zookeeper"]
    + ["buffer", "codec", "common", "handler", "resolver", "transport"].map { "netty-\($0)" }
    + ["netty-transport-native-epoll", "netty-transport-native-unix-common"]

  /// - Parameters:
  ///   - tick: sessions are given between 2 and 20 of them, unless the next two say otherwise. A session
  ///     ends with the first tick after its timeout.
  ///   - minSessionTimeout: the shortest session a client gets.
  ///   - maxSessionTimeout: the longest one.
  ///   - member: its number in an ensemble, and the ensemble's lines of the configuration; nil stands alone.
  ///   - tls: the server's certificate with its key, and the authority of its clients' certificates, if they have to have
  ///     one; TLS is then all that it speaks. Nil: plain text.
  public init(
    tick: Duration = .milliseconds(200), minSessionTimeout: Duration? = nil, maxSessionTimeout: Duration? = nil,
    member: (id: Int, lines: [String])? = nil, tls: (certificate: String, clients: String?)? = nil
  ) throws {
    port = try freePort()
    isMember = member != nil
    speaksTLS = tls != nil
    var lines = [
      "tickTime=\(tick.wholeMilliseconds)", "dataDir=\(directory.path)/data", "maxClientCnxns=0",
      "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=1024",
    ]
    if let tls {
      lines += [
        "secureClientPort=\(port)", "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        "ssl.keyStore.location=\(tls.certificate)", "ssl.clientAuth=\(tls.clients == nil ? "none" : "need")",
        "ssl.trustStore.location=\(tls.clients ?? tls.certificate)",
      ]
    } else {
      lines.append("clientPort=\(port)")
    }
    if let minSessionTimeout { lines.append("minSessionTimeout=\(minSessionTimeout.wholeMilliseconds)") }
    if let maxSessionTimeout { lines.append("maxSessionTimeout=\(maxSessionTimeout.wholeMilliseconds)") }
    self.lines = lines + (member?.lines ?? [])
    mkdir(directory.path + "/data", 0o700)
    if let member { try write(["\(member.id)"], to: "data/myid") }
    try writeConfiguration()
    try write(
      [
        "log4j.rootLogger=WARN, F", "log4j.appender.F=org.apache.log4j.FileAppender",
        "log4j.appender.F.File=\(directory.path)/zk.log", "log4j.appender.F.layout=org.apache.log4j.PatternLayout",
        "log4j.appender.F.layout.ConversionPattern=%d %p %c{1} %m%n",
      ], to: "log4j.properties")
  }

  isolated deinit {
    guard pid > 0 else { return }
    Glibc.kill(pid, SIGKILL)
    var status: Int32 = 0
    waitpid(pid, &status, 0)
  }

  private func writeConfiguration() throws {
    try write(lines + ["\(speaksTLS ? "secureClientPortAddress" : "clientPortAddress")=\(host)"], to: "zoo.cfg")
  }

  private func write(_ lines: [String], to name: String) throws {
    let path = "\(directory.path)/\(name)"
    guard let file = fopen(path, "w") else { throw ServerTrouble(description: "cannot write \(path)") }
    for line in lines { fputs(line + "\n", file) }
    fclose(file)
  }

  // MARK: Life

  /// Starts the server and returns when it answers; the first time with no data, later with what it had.
  public func start() async throws {
    try launch()
    try await isServing()
  }

  /// Forgets all nodes and sessions of a server that does not run.
  public func wipe() throws {
    precondition(pid == 0, "this server is running")
    let folder = "\(directory.path)/data/version-2"
    for name in try Files.list(folder) { _ = try Files.remove("\(folder)/\(name)") }
  }

  /// Gives a server that does not run another address, with the same port.
  public func move(to host: String) throws {
    precondition(pid == 0, "this server is running")
    self.host = host
    try writeConfiguration()
  }

  /// Starts the server; a member of an ensemble answers when there are enough of them.
  public func launch() throws {
    precondition(pid == 0, "this server is running")
    let main = isMember ? "quorum.QuorumPeerMain" : "ZooKeeperServerMain"
    pid = try spawn([
      "/usr/bin/setpriv", "--pdeathsig", "KILL", "java", "-Xmx256m", "-Xshare:auto", "-XX:TieredStopAtLevel=1",
      "-XX:+UseSerialGC", "-Dzookeeper.forceSync=no", "-Dzookeeper.jmx.log4j.disable=true",
      "-Dlog4j.configuration=file:\(directory.path)/log4j.properties", "-cp",
      ([directory.path] + ZooKeeperServer.classes.map { "/usr/share/java/\($0).jar" }).joined(separator: ":"),
      "org.apache.zookeeper.server.\(main)",
      "\(directory.path)/zoo.cfg",
    ])
  }

  /// Returns when the server serves clients.
  public func isServing() async throws {
    do {
      try await eventually("ZooKeeper answers on port \(port)", within: .seconds(60)) { [self] in
        try failIfEnded()
        // A server that is just starting may accept and say nothing: ask again rather than wait for it.
        if speaksTLS { return accepts }
        if !isMember { return await fourLetters("ruok", patience: .milliseconds(100)) == "imok" }
        return await fourLetters("srvr", patience: .milliseconds(100)).contains("Mode: ")
      }
    } catch let timeout as ConditionTimeout {
      throw ServerTrouble(description: "\(timeout); its output: \(output)")
    }
  }

  /// Whether connections are taken; what comes of them is not asked.
  private var accepts: Bool { BlockingSocket(host: host, port: port, patience: .seconds(1)) != nil }

  private func failIfEnded() throws {
    var status: Int32 = 0
    guard waitpid(pid, &status, WNOHANG) == pid else { return }
    pid = 0
    throw ServerTrouble(description: "ZooKeeper ended at once; is the package installed? Its output: \(output)")
  }

  /// What the process printed, at most the last two thousand bytes.
  public var output: String {
    guard let file = fopen("\(directory.path)/out", "r") else { return "" }
    defer { fclose(file) }
    fseek(file, -2000, SEEK_END)
    var bytes = [UInt8](repeating: 0, count: 2000)
    let count = fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes.prefix(count), as: UTF8.self)
  }

  /// Stands still, with its connections open: what clients see of a machine that hangs.
  public func pause() { Glibc.kill(pid, SIGSTOP) }

  /// Goes on after ``pause()``.
  public func resume() { Glibc.kill(pid, SIGCONT) }

  /// Ends at once, without a chance to write anything down.
  public func kill() async { await end(SIGKILL) }

  /// Ends in an orderly way.
  public func stop() async { await end(SIGTERM) }

  /// ``kill()`` and ``start()``: sessions and nodes are as they were, connections are not.
  public func restart() async throws {
    await kill()
    try await start()
  }

  private func end(_ signal: Int32) async {
    guard pid > 0 else { return }
    let ending = pid
    Glibc.kill(ending, SIGCONT)
    Glibc.kill(ending, signal)
    _ = await onThread {
      var status: Int32 = 0
      return waitpid(ending, &status, 0)
    }
    pid = 0
  }

  // MARK: Questions

  /// The answer to a four-letter word (`mntr`, `cons`, `wchs`, `dump`, …); empty when there is none.
  public func fourLetters(_ word: String, patience: Duration = .seconds(2)) async -> String {
    let (host, port) = (host, port)
    return await onThread { () -> String in
      guard let socket = BlockingSocket(host: host, port: port, patience: patience), socket.send(Array(word.utf8))
      else {
        return ""
      }
      return String(decoding: socket.readToEnd(), as: UTF8.self)
    }
  }

  /// The numbers of `mntr`, for example `zk_watch_count` or `zk_ephemerals_count`.
  public func monitor() async -> [String: String] {
    var values: [String: String] = [:]
    for line in await fourLetters("mntr").split(separator: "\n") {
      let parts = line.split(separator: "\t", maxSplits: 1)
      if parts.count == 2 { values[String(parts[0])] = String(parts[1]) }
    }
    return values
  }

  /// One number of `mntr`; 0 when the server does not say it.
  public func count(_ key: String) async -> Int { Int(await monitor()[key] ?? "") ?? 0 }

  /// Ends a session behind its owner's back: its ephemeral nodes go, and the owner, who is disconnected
  /// by this, is told that the session has expired.
  public func expireSession(_ id: Int64, password: [UInt8]) async throws {
    let (host, port) = (host, port)
    // A connect request (protocol 0, last zxid 0, timeout, session) and a close request (xid 1, type -11).
    let connect = bytes(Int32(0)) + bytes(Int64(0)) + bytes(Int32(4000)) + bytes(id) + bytes(Int32(16)) + password + [0]
    let close = bytes(Int32(8)) + bytes(Int32(1)) + bytes(Int32(-11))
    for _ in 0..<50 {
      let answer = await onThread { () -> [UInt8] in
        guard let socket = BlockingSocket(host: host, port: port, patience: .seconds(2)) else { return [] }
        return socket.send(bytes(Int32(connect.count)) + connect + close) ? socket.readToEnd() : []
      }
      // Length, protocol, timeout, session, password, flag: 41 bytes; then the answer to the close. The
      // owner may have been faster than the close, or faster than its answer: once more.
      if answer.count > 41 || (answer.count == 41 && answer[12..<20].allSatisfy { $0 == 0 }) { return }
    }
    throw ServerTrouble(description: "the server did not end session \(id)")
  }

  /// Says what everybody may do with a node: read 1, write 2, create 4, delete 8, administer 16.
  public func permit(_ permissions: Int32, at path: String) async throws {
    let (host, port) = (host, port)
    func text(_ text: String) -> [UInt8] { bytes(Int32(text.utf8.count)) + Array(text.utf8) }
    let connect =
      bytes(Int32(0)) + bytes(Int64(0)) + bytes(Int32(4000)) + bytes(Int64(0)) + bytes(Int32(16))
      + [UInt8](repeating: 0, count: 17)
    let set =
      bytes(Int32(1)) + bytes(Int32(7)) + text(path) + bytes(Int32(1)) + bytes(permissions) + text("world")
      + text("anyone") + bytes(Int32(-1))
    let close = bytes(Int32(8)) + bytes(Int32(2)) + bytes(Int32(-11))
    let packets = bytes(Int32(connect.count)) + connect + bytes(Int32(set.count)) + set + close
    let answer = await onThread { () -> [UInt8] in
      guard let socket = BlockingSocket(host: host, port: port, patience: .seconds(10)), socket.send(packets)
      else { return [] }
      return socket.readToEnd()
    }
    // 41 bytes of the connect; then length, number and the change's, and whether it was accepted.
    guard answer.count >= 61, answer[57..<61].allSatisfy({ $0 == 0 }) else {
      throw ServerTrouble(description: "the server did not change the permissions of \(path)")
    }
  }

  // MARK: Starting

  private func spawn(_ arguments: [String]) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, 1, directory.path + "/out", O_WRONLY | O_CREAT | O_APPEND, 0o600)
    posix_spawn_file_actions_adddup2(&actions, 1, 2)
    // Sockets of the test must not live on in the server; libzookeeper's are not close-on-exec by themselves.
    for descriptor in 3..<Int32(sysconf(Int32(_SC_OPEN_MAX))) where descriptor < 4096 {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    defer { for argument in argv { free(argument) } }
    var pid: pid_t = 0
    let code = posix_spawn(&pid, arguments[0], &actions, &attributes, &argv, environ)
    guard code == 0 else { throw ServerTrouble(description: "cannot start \(arguments[0]): errno \(code)") }
    return pid
  }
}

private func bytes(_ number: some FixedWidthInteger) -> [UInt8] {
  withUnsafeBytes(of: number.bigEndian) { [UInt8]($0) }
}

/// A connection for threads that may wait: every call gives up after `patience`.
private final class BlockingSocket {
  private let descriptor: Int32

  init?(host: String, port: Int, patience: Duration) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    let milliseconds = patience.wholeMilliseconds
    var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    var address = loopback(host: host, port: port)
    let isConnected = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
    if !isConnected { return nil }
  }

  deinit { close(descriptor) }

  func send(_ bytes: [UInt8]) -> Bool {
    Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count
  }

  func readToEnd() -> [UInt8] {
    var all: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count <= 0 { return all }
      all += buffer[..<count]
    }
  }
}

extension Duration {
  fileprivate var wholeMilliseconds: Int { Int(self / .milliseconds(1)) }
}

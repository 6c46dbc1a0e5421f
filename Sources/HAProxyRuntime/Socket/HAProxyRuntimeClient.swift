public import HAProxyConfigGen
public import Reactor

/// Asks one HAProxy through its stats socket.
///
/// Each call is one connection, one deadline, one batch: the commands go out joined by `;`, in the socket's
/// prompt mode, whose mark ends every answer. (Without it the end of an answer cannot be told: some of
/// HAProxy's messages end in a blank line and some do not.)
@LoopActor public final class HAProxyRuntimeClient {
  /// Longer lines would not fit HAProxy's buffer (`tune.bufsize`, 16 KiB unless configured).
  nonisolated static let lineLimit = 4096

  /// How old statistics may be that are shown.
  private static let statisticsAge: Duration = .seconds(10)
  /// How long new ones are waited for where there are old ones.
  private static let statisticsPatience: Duration = .milliseconds(40)

  /// Path of the socket.
  public nonisolated let socket: String
  private let deadline: Duration
  private let master: MasterSocket?
  /// Statistics that were read last: when, and how long that took.
  private var last: (page: StatsPage, at: LoopClock.Instant, took: Duration)?
  /// Statistics that are being read.
  private var reading: OneShotEvent<Result<StatsPage, HAProxyRuntimeError>>?
  /// Whether the last call went through the master.
  private(set) var isThroughMaster = false

  /// - Parameters:
  ///   - socket: path of HAProxy's `stats socket` with level admin.
  ///   - master: passes commands on while the socket's file is missing; nil: nobody does.
  ///   - deadline: for everything one call does.
  public init(socket: String, master: MasterSocket? = nil, deadline: Duration = .seconds(5)) {
    self.socket = socket
    self.master = master
    self.deadline = deadline
  }

  /// Runs the commands in order; a refused one does not keep the later ones from running.
  /// - Returns: what HAProxy said to each command: a document or nothing when it obeyed, else its complaint.
  public func run(
    _ commands: [SocketCommand]
  ) async throws(HAProxyRuntimeError) -> [Result<String, HAProxyRuntimeError>] {
    if commands.isEmpty { return [] }
    isThroughMaster = false
    let stream: ByteStream
    do { stream = try await connect() } catch {
      guard let master, !Files.exists(socket) else { throw error }
      return try await run(commands, through: master)
    }
    defer { stream.close() }
    var replies = ReplyReader(count: commands.count + 1)  // the first one is prompt's own
    func pending() -> String { replies.isEmpty ? "prompt" : commands[min(replies.count, commands.count) - 1].text }
    do {
      try stream.write(await BlockingWork.compute(items: commands.count) { HAProxyRuntimeClient.script(commands) })
      while !replies.isComplete {
        let bytes = try await stream.read(upTo: 1 << 16)
        if bytes.isEmpty { throw HAProxyRuntimeError.closed(command: pending()) }
        try replies.append(bytes, pending: pending)
      }
    } catch let error as HAProxyRuntimeError {
      throw error
    } catch StreamError.timedOut {
      throw .timedOut(command: pending(), after: deadline)
    } catch {
      throw .closed(command: pending())
    }
    return await BlockingWork.compute(items: commands.count) { [texts = replies.texts] in
      zip(commands, texts.dropFirst()).map { $0.outcome(of: $1) }
    }
  }

  /// HAProxy makes the socket's file when it starts, and never again: without it its master still passes commands on, one
  /// for each connection.
  private func run(
    _ commands: [SocketCommand], through master: MasterSocket
  ) async throws(HAProxyRuntimeError) -> [Result<String, HAProxyRuntimeError>] {
    var outcomes: [Result<String, HAProxyRuntimeError>] = []
    for command in commands { outcomes.append(command.outcome(of: try await master.pass(command, within: deadline))) }
    isThroughMaster = true
    return outcomes
  }

  /// Runs one command.
  /// - Returns: the document it answers with, or nothing.
  @discardableResult
  public func run(_ command: SocketCommand) async throws(HAProxyRuntimeError) -> String {
    guard let outcome = try await run([command]).first else { throw .closed(command: command.text) }
    return try outcome.get()
  }

  /// What runs now: the process, and its backends with their servers, of one moment.
  public func observe() async throws(HAProxyRuntimeError) -> (info: ProxyInfo, running: RunningProxy) {
    var documents: [String] = []
    for outcome in try await run([.showInfo, .showSections, .showServers]) { documents.append(try outcome.get()) }
    guard documents.count == 3 else { throw .closed(command: SocketCommand.showServers.text) }
    return try await HAProxyRuntimeClient.read(documents)
  }

  /// Off the loop: 10,000 servers are a megabyte.
  private static func read(
    _ documents: [String]
  ) async throws(HAProxyRuntimeError) -> (info: ProxyInfo, running: RunningProxy) {
    do {
      return try await BlockingWork.plans.run {
        let info = try ProxyInfo(parsing: documents[0])
        return (info, try RunningProxy(info: info, sections: documents[1], servers: documents[2]))
      }
    } catch let error as HAProxyRuntimeError {
      throw error
    } catch {
      throw .malformed(command: SocketCommand.showServers.text, reason: "\(error)")
    }
  }

  /// The servers of the statistics. Those of 20,000 servers are 8 MB and keep HAProxy from its other work: all who ask
  /// share them, they are read a tenth of the time at most, and nobody waits long for them who can have those from before.
  func statistics() async throws(HAProxyRuntimeError) -> StatsPage {
    let before = last.flatMap { LoopClock.system.now - $0.at < HAProxyRuntimeClient.statisticsAge ? $0 : nil }
    if let before, LoopClock.system.now - before.at < before.took * 9 { return before.page }
    let next = reading ?? readStatistics()
    if let before {
      let answer = try? await withDeadline(after: HAProxyRuntimeClient.statisticsPatience) { try await next.wait() }
      return try answer?.get() ?? before.page
    }
    do { return try await next.wait().get() } catch let error as HAProxyRuntimeError { throw error } catch {
      throw .closed(command: SocketCommand.showServerStatistics.text)
    }
  }

  private func readStatistics() -> OneShotEvent<Result<StatsPage, HAProxyRuntimeError>> {
    let next = OneShotEvent<Result<StatsPage, HAProxyRuntimeError>>()
    reading = next
    Task.immediate { @LoopActor in
      let start = LoopClock.system.now
      let answer: Result<StatsPage, HAProxyRuntimeError>
      do throws(HAProxyRuntimeError) {
        let page = try await StatsPage.ask(self)
        last = (page, LoopClock.system.now, LoopClock.system.now - start)
        answer = .success(page)
      } catch {
        answer = .failure(error)
      }
      reading = nil
      next.happen(with: answer)
    }
    return next
  }

  private func connect() async throws(HAProxyRuntimeError) -> ByteStream {
    do {
      return try await ByteStream.connect(to: .unix(path: socket), deadline: deadline)
    } catch StreamError.refused(_, let reason) {
      let hint = " (if HAProxy runs, the file was removed: only a restart of HAProxy makes it again)"
      throw .unreachable(socket: socket, reason: Files.exists(socket) ? reason : reason + hint)
    } catch {
      throw .unreachable(socket: socket, reason: "\(error)")
    }
  }

  /// `prompt`, then the commands on as few lines as ``lineLimit`` allows.
  nonisolated static func script(_ commands: [SocketCommand]) -> String {
    var script = "prompt"
    var length = script.utf8.count
    for command in commands {
      let size = command.text.utf8.count
      script += length + size + 1 > lineLimit ? "\n" : ";"
      length = length + size + 1 > lineLimit ? size : length + size + 1
      script += command.text
    }
    return script + "\n"
  }
}

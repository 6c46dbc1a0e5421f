internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// What a source answered, before the services' own files are read.
enum SourceAnswer: Equatable, Sendable {
  /// The state of the Mesos agent, and the cluster whose soa-configs its tasks are looked up in.
  case tasks(MesosState, cluster: String)
  /// A directory of static services.
  case directory(String)
  /// A list that was printed, or stands in a file.
  case list([UInt8])
  case nothing
}

/// Asks sources; what it needs of the network and of other programs happens here, off the files.
@LoopActor struct SourceReader: Equatable {
  var host: HostIdentity
  /// PaaSTA's name for the cluster whose tasks are registered; nil queries no Mesos agent.
  var cluster: String?
  /// Whose tasks are registered.
  var schedulers: Set<TaskScheduler> = []

  /// A Mesos agent that needs longer is as good as none.
  static let agentDeadline = Duration.seconds(10)
  /// A program that prints the list has to be done by then.
  static let commandDeadline = Duration.seconds(60)
  nonisolated static let longestAnswer = 64 << 20

  /// - Parameter memory: spares an agent's state that did not change from being read again.
  /// - Throws: an `OperatorError`, or `CancellationError`.
  func ask(_ source: ServicesSource, memory: AgentMemory? = nil) async throws -> SourceAnswer {
    switch source {
    case .directory(let path): return .directory(path)
    case .file(let path):
      do {
        return .list(try await BlockingWork.run { try Files.read(path, limit: SourceReader.longestAnswer) })
      } catch {
        throw source.failure("\(error); nothing is changed")
      }
    case .command(let words): return .list(try await output(of: words, source: source))
    case .mesos(let url):
      guard let cluster else { return .nothing }
      var tasks = try await state(of: url ?? "http://\(host.name):5051", source: source, memory: memory)
      tasks.executors.removeAll { !schedulers.contains($0.scheduler) }
      return .tasks(tasks, cluster: cluster)
    }
  }

  // MARK: Programs

  private func output(of words: [String], source: ServicesSource) async throws -> [UInt8] {
    let result: ChildResult
    do {
      result = try await ChildProcess.run(
        words[0], arguments: Array(words.dropFirst()), deadline: SourceReader.commandDeadline,
        outputLimit: SourceReader.longestAnswer)
    } catch let error as FileError {
      throw source.failure("\(error); nothing is changed")
    }
    guard result.status == .exited(0) else {
      throw source.failure("\(result.status)\(result.lastWords); nothing is changed")
    }
    return result.output
  }

  // MARK: Mesos

  private func state(
    of url: String, source: ServicesSource, memory: AgentMemory?
  ) async throws -> MesosState {
    guard let address = SourceReader.address(of: url) else {
      throw source.failure("'\(url)' is not an http:// address of a Mesos agent")
    }
    var answer = try await ask(address, target: address.target, source: source)
    // Before 0.24 there was only this name.
    if answer.status == 404, address.target == "/state" {
      answer = try await ask(address, target: "/state.json", source: source)
    }
    guard (200...299).contains(answer.status) else {
      throw failure(of: address, problem: "answers with status \(answer.status)", source: source)
    }
    let digest = memory.map { _ in MessageDigest.sha256.hash(answer.body) }
    if let memory, let state = memory.state, memory.digest == digest { return state }
    guard !answer.isTruncated, let state = MesosState(answer.body) else {
      throw failure(of: address, problem: "what it answers is not an agent's state", source: source)
    }
    memory?.digest = digest
    memory?.state = state
    return state
  }

  private func ask(_ address: AgentAddress, target: String, source: ServicesSource) async throws -> HTTPResponse {
    var request = HTTPRequest(endpoint: address.endpoint, target: target)
    request.headers = [
      HTTPHeader(name: "User-Agent", value: "configure_nerve \(Release.version)"),
      HTTPHeader(name: "Accept", value: "application/json"),
    ]
    if address.target.hasSuffix("/api/v1") {
      request.method = "POST"
      request.headers.append(HTTPHeader(name: "Content-Type", value: "application/json"))
      request.body = Array(#"{"type":"GET_STATE"}"#.utf8)
    }
    do {
      return try await HTTPClient.send(
        request, deadline: SourceReader.agentDeadline,
        limits: HTTPClientLimits(maxBodyBytes: SourceReader.longestAnswer))
    } catch is CancellationError {
      throw CancellationError()
    } catch {
      throw failure(of: address, problem: "\(error)", source: source)
    }
  }

  typealias AgentAddress = (endpoint: Endpoint, target: String)

  /// An agent's URL, `http://HOST[:PORT][/PATH]`, taken apart; the port is 5051 and the path `/state` unless given.
  nonisolated static func address(of url: String) -> AgentAddress? {
    guard url.hasPrefix("http://") else { return nil }
    let rest = url.dropFirst("http://".count)
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let path = String(rest[slash...])
    var host = String(rest[..<slash])
    var port = 5051
    if let colon = host.lastIndex(of: ":"), !host.hasSuffix("]") {
      guard let number = Int(host[host.index(after: colon)...]), (1...65_535).contains(number) else { return nil }
      port = number
      host = String(host[..<colon])
    }
    if host.hasPrefix("["), host.hasSuffix("]") { host = String(host.dropFirst().dropLast()) }
    guard !host.isEmpty else { return nil }
    return (.tcp(host: host, port: port), path.isEmpty || path == "/" ? "/state" : path)
  }

  private func failure(of address: AgentAddress, problem: String, source: ServicesSource) -> OperatorError {
    source.failure("the Mesos agent at \(address.endpoint): \(problem); nothing is changed until it answers")
  }
}

extension SourceFiles {
  /// The cluster of this host whose tasks are registered, of the JSON files of `/etc/paasta` merged in the order of names:
  /// `cluster`, and by `register_marathon_services` and `register_native_services` whose; no cluster where PaaSTA is not set
  /// up, or registers none.
  /// - Throws: for a file that cannot be read: the host's own data are at fault.
  func clusterOfTasks(
    in directory: String
  ) throws(ConfigError) -> (cluster: String?, schedulers: Set<TaskScheduler>) {
    var (cluster, registersMarathon, registersNative) = (String?.none, true, false)
    for name in try names(in: directory) ?? [] where name.hasSuffix(".json") && !name.hasPrefix(".") {
      guard let section = try document("\(directory)/\(name)")?.section() else { continue }
      cluster = try section.optionalString("cluster") ?? cluster
      registersMarathon = try section.optionalBool("register_marathon_services") ?? registersMarathon
      registersNative = try section.optionalBool("register_native_services") ?? registersNative
    }
    let schedulers = Set((registersMarathon ? [TaskScheduler.marathon] : []) + (registersNative ? [.native] : []))
    return (schedulers.isEmpty ? nil : cluster, schedulers)
  }
}

/// What an agent answered last: a state of 300 tasks takes 20 ms of CPU to read, and mostly is the one before.
@LoopActor final class AgentMemory {
  /// Of the whole answer, which may have 60 MB.
  fileprivate var digest: [UInt8]?
  fileprivate var state: MesosState?
}

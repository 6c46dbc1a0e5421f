internal import AgentRuntime
internal import Glibc
public import Reactor
internal import SmartStack
internal import Topology
internal import YAMLConfig

/// `smartstack-status`: what PaaSTA reports of services' replication, without PaaSTA.
@LoopActor public enum SmartstackStatus {
  /// The command's names.
  public nonisolated static let names = ["smartstack-status"]
  /// The exit status for what cannot be told; of a check also for a wrong command line.
  public nonisolated static let unknown: Int32 = 3

  /// How the answer is given.
  public enum Form: Sendable {
    /// PaaSTA's lines, for people.
    case text(isVerbose: Bool, inColor: Bool)
    /// For programs.
    case json
    /// For Nagios and Sensu.
    case check
  }

  /// Reports on all services.
  /// - Returns: 0 all is well; 1 it is not; ``unknown``. Of a check 0, 1 (a warning), 2 (critical) or 3.
  public static func run(_ options: ReplicationOptions, as form: Form) async -> Int32 {
    let results = await ReplicationRun(options).reports()
    var failures: [String] = []
    var reports: [NamespaceReport] = []
    for result in results {
      switch result {
      case .success(let report): reports.append(report)
      case .failure(let failure): failures.append(failure.description)
      }
    }
    print(reports, form)
    for failure in failures {
      if case .check = form { write("UNKNOWN: \(failure)\n", to: STDOUT_FILENO) } else { complain(failure) }
    }
    let worst = reports.map(\.verdict).max() ?? .healthy
    guard case .check = form else { return failures.isEmpty ? (worst == .healthy ? 0 : 1) : unknown }
    // What is known to be bad is worse than what is not known.
    if worst == .critical { return 2 }
    return failures.isEmpty ? Int32(worst.rawValue) : unknown
  }

  /// Prints the constraints for a scheduler that follow from the services' levels, one line each, or one JSON object.
  /// - Returns: 0, or ``unknown``.
  public static func constraints(_ options: ReplicationOptions, within: String?, asJSON: Bool) -> Int32 {
    let levels = NamespaceLevels(options, files: SourceFiles())
    var object = JSONObject()
    for name in options.services {
      do throws(ReplicationFailure) {
        object[name] = try levels.constraint(name, within: within)
      } catch {
        return complain("\(error)")
      }
    }
    let lines = asJSON ? [JSONValue.object(object).text()] : object.members.map { $0.value.text() }
    write(lines.map { $0 + "\n" }.joined(), to: STDOUT_FILENO)
    return 0
  }

  private static func print(_ reports: [NamespaceReport], _ form: Form) {
    let text =
      switch form {
      case .text(let isVerbose, let inColor):
        reports.flatMap { ReplicationText.lines($0, isVerbose: isVerbose, inColor: inColor) }.map { $0 + "\n" }.joined()
      case .json:
        JSONValue.object(["services": .array(reports.map(ReplicationText.json))]).text(JSONStyle(indent: 2)) + "\n"
      case .check: reports.map(ReplicationText.alert).joined()
      }
    write(text, to: STDOUT_FILENO)
  }

  @discardableResult
  private static func complain(_ sentence: String) -> Int32 {
    write("smartstack-status: \(sentence)\n", to: STDERR_FILENO)
    return unknown
  }

  private static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0, errno != EINTR { return }
      rest = rest.dropFirst(max(0, count))
    }
  }
}

/// Asks the registry and the HAProxys, each once for all services.
@LoopActor struct ReplicationRun {
  private let options: ReplicationOptions
  private let files = SourceFiles()
  private let levels: NamespaceLevels

  /// PaaSTA's.
  private static let (pageDeadline, pageAttempts) = (Duration.seconds(1), 3)

  init(_ options: ReplicationOptions) {
    self.options = options
    levels = NamespaceLevels(options, files: files)
  }

  /// A report per service, in the order asked for.
  func reports() async -> [Result<NamespaceReport, ReplicationFailure>] {
    var registered: [String: [Backend]]?
    var pages: [Endpoint: ReplicationFindings.Page] = [:]
    do throws(ReplicationFailure) {
      if options.source != .haproxy {
        registered = try await RegistryLook(options: options, files: files).read(options.services)
      }
      for endpoint in Set(proxies.map(\.endpoint)) { pages[endpoint] = try await page(endpoint) }
    } catch {
      return [.failure(error)]
    }
    return options.services.map { name in
      Result { () throws(ReplicationFailure) in try report(name, registered, pages) }
    }
  }

  private var proxies: [ReplicationOptions.Proxy] {
    if options.source == .registry { return [] }
    return options.proxies.isEmpty ? [ReplicationOptions.Proxy("127.0.0.1")].compactMap(\.self) : options.proxies
  }

  private func page(_ endpoint: Endpoint) async throws(ReplicationFailure) -> ReplicationFindings.Page {
    let scope = options.services.count == 1 ? options.services[0] : nil
    var reason = ""
    for _ in 0..<ReplicationRun.pageAttempts {
      do throws(StatsError) {
        let page = try await StatsQuestion.ask(endpoint, scope: scope, deadline: ReplicationRun.pageDeadline)
        return ReplicationFindings.Page(place: "\(endpoint)", page: page)
      } catch {
        reason = "\(error)"
      }
    }
    throw ReplicationFailure(reason)
  }

  private func report(
    _ name: String, _ registered: [String: [Backend]]?, _ pages: [Endpoint: ReplicationFindings.Page]
  ) throws(ReplicationFailure) -> NamespaceReport {
    let level: String
    if let given = options.level { level = given } else { level = try levels.discover(name) }
    var findings = ReplicationFindings(name: name, backend: name, level: level, types: levels.types)
    findings.registered = registered.map { $0[name] ?? [] }
    (findings.wanted, findings.expected) = (options.locations, options.expected)
    if let cluster = options.cluster { findings.expected = try levels.expected(name, cluster: cluster) }
    findings.thresholds = options.thresholds
    for proxy in proxies {
      if let location = proxy.location {
        findings.remote[location] = pages[proxy.endpoint]
      } else {
        findings.own = try levels.own(level)
        findings.local = pages[proxy.endpoint]
      }
    }
    if registered == nil,
      let blind = options.locations.first(where: { $0 != findings.own && findings.remote[$0] == nil })
    {
      throw ReplicationFailure("nobody is asked about \(blind): --haproxy \(blind)=HOST says who is")
    }
    return findings.report()
  }
}

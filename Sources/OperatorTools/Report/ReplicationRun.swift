internal import AgentKit
internal import Configure
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// Asks the registry and the HAProxys, each once for all services.
@LoopActor struct ReplicationRun {
  private let options: ReplicationOptions
  private let files = SourceFiles()
  private let levels: NamespaceLevels

  /// Limits that PaaSTA has.
  private static let (pageDeadline, pageAttempts) = (Duration.seconds(1), 3)

  init(_ options: ReplicationOptions) {
    self.options = options
    levels = NamespaceLevels(options, files: files)
  }

  /// A report per service, as far as one can be made, in the order asked for, and what cannot be told.
  func reports() async -> (reports: [NamespaceReport], failures: [CommandFailure]) {
    var registered: [String: [Backend]]?
    if options.source != .haproxy {
      do throws(CommandFailure) {
        registered = try await RegistrySnapshot(options: options, files: files).read(options.services)
      } catch {
        return ([], [error])
      }
    }
    var pages: [Endpoint: ReplicationFindings.Page] = [:]
    var failures: [CommandFailure] = []
    for endpoint in proxies.map(\.endpoint) where pages[endpoint] == nil {
      do throws(CommandFailure) { pages[endpoint] = try await page(endpoint) } catch { failures.append(error) }
    }
    let allAnswered = failures.isEmpty
    var reports: [NamespaceReport] = []
    for name in options.services {
      do throws(CommandFailure) {
        let report = try report(on: name, registered: registered, pages: pages)
        // A HAProxy that does not answer hides nothing else; a service that is nowhere for that reason is not nowhere.
        if allAnswered || !report.locations.isEmpty || registered?[name]?.isEmpty == true { reports.append(report) }
      } catch {
        failures.append(error)
      }
    }
    return (reports, failures)
  }

  private var proxies: [ReplicationOptions.Proxy] {
    if options.source == .registry { return [] }
    return options.proxies.isEmpty ? [ReplicationOptions.Proxy("127.0.0.1")].compactMap(\.self) : options.proxies
  }

  private func page(_ endpoint: Endpoint) async throws(CommandFailure) -> ReplicationFindings.Page {
    let scope = options.services.count == 1 ? options.services[0] : nil
    var reason = ""
    for _ in 0..<ReplicationRun.pageAttempts {
      do throws(StatsError) {
        let page = try await StatsPage.ask(endpoint, scope: scope, deadline: ReplicationRun.pageDeadline)
        return ReplicationFindings.Page(place: "\(endpoint)", page: page)
      } catch {
        reason = "\(error)"
      }
    }
    throw CommandFailure(reason)
  }

  private func report(
    on name: String, registered: [String: [Backend]]?, pages: [Endpoint: ReplicationFindings.Page]
  ) throws(CommandFailure) -> NamespaceReport {
    let level: String
    if let given = options.level { level = given } else { level = try levels.discover(name) }
    var findings = ReplicationFindings(name: name, backend: name, level: level, types: levels.types)
    findings.registered = registered.map { $0[name] ?? [] }
    (findings.wanted, findings.expected) = (options.locations, options.expected)
    if let cluster = options.cluster { findings.expected = try levels.expected(name, cluster: cluster) }
    findings.thresholds = options.thresholds
    for proxy in proxies {
      let page = pages[proxy.endpoint]
      if let location = proxy.location {
        if let page { findings.remote[location] = page } else { findings.silent.insert(location) }
      } else {
        findings.own = try levels.own(level)
        findings.local = page
        findings.isLocalSilent = page == nil
      }
    }
    if registered == nil,
      let blind = options.locations.first(where: { $0 != findings.own && findings.remote[$0] == nil })
    {
      throw CommandFailure("no HAProxy is queried for \(blind); give --haproxy \(blind)=HOST")
    }
    return findings.report()
  }
}

internal import AgentKit
internal import Configure
internal import HAProxyRuntime
internal import Reactor
internal import SmartStack

/// Asks the registry and the HAProxys, each once for all services.
@LoopActor extension ReplicationCommand {
  /// Limits that PaaSTA has.
  private static let (pageDeadline, pageAttempts) = (Duration.seconds(1), 3)

  /// A report per service, as far as one can be made, in the order asked for, and what cannot be told.
  /// - Parameter services: their names, as `service.namespace`.
  func reports(on services: [String]) async -> (reports: [NamespaceReport], failures: [any Error]) {
    let files = SourceFiles()
    let levels = NamespaceLevels(services: places.servicesDirectory, locations: places.locationDir, files: files)
    var registered: [String: [Backend]]?
    if places.source != .haproxy {
      do {
        registered = try await places.registrations(of: services, files: files)
      } catch {
        return ([], [error])
      }
    }
    var pages: [Endpoint: (place: String, page: StatsPage)] = [:]
    var failures: [any Error] = []
    for endpoint in proxies.map(\.endpoint) where pages[endpoint] == nil {
      do { pages[endpoint] = try await page(endpoint, scope: services.count == 1 ? services[0] : nil) } catch {
        failures.append(error)
      }
    }
    let allAnswered = failures.isEmpty
    var reports: [NamespaceReport] = []
    for name in services {
      do {
        let report = try report(on: name, levels: levels, registered: registered, pages: pages)
        // A HAProxy that does not answer hides nothing else; a service that is nowhere for that reason is not nowhere.
        if allAnswered || !report.locations.isEmpty || registered?[name]?.isEmpty == true { reports.append(report) }
      } catch {
        failures.append(error)
      }
    }
    return (reports, failures)
  }

  private var proxies: [ReplicationPlaces.Proxy] {
    if places.source == .registry { return [] }
    return places.proxies.isEmpty ? [ReplicationPlaces.Proxy("127.0.0.1")].compactMap(\.self) : places.proxies
  }

  private func page(
    _ endpoint: Endpoint, scope: String?
  ) async throws(OperatorError) -> (place: String, page: StatsPage) {
    var reason = ""
    for _ in 0..<ReplicationCommand.pageAttempts {
      do throws(HAProxyRuntimeError) {
        let page = try await StatsPage.ask(endpoint, scope: scope, deadline: ReplicationCommand.pageDeadline)
        return ("\(endpoint)", page)
      } catch {
        reason = "\(error)"
      }
    }
    throw OperatorError(reason)
  }

  private func report(
    on name: String, levels: NamespaceLevels, registered: [String: [Backend]]?,
    pages: [Endpoint: (place: String, page: StatsPage)]
  ) throws -> NamespaceReport {
    let level: String
    if let given = places.level { level = given } else { level = try levels.discover(name) }
    var findings = ReplicationFindings(name: name, level: level, types: levels.types)
    findings.registered = registered.map { $0[name] ?? [] }
    (findings.wanted, findings.expected) = (locations, expected)
    if let cluster { findings.expected = try levels.expected(name, cluster: cluster) }
    findings.thresholds = (critical, warning)
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
      let blind = locations.first(where: { $0 != findings.own && findings.remote[$0] == nil })
    {
      throw OperatorError("no HAProxy is queried for \(blind); give --haproxy \(blind)=HOST")
    }
    return findings.report()
  }
}

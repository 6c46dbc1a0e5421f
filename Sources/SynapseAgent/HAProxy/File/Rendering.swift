internal import HAProxyConfigGen
internal import Logging
public import Reactor
public import SmartStack

/// HAProxy's file as the agent would write it, made for a command: nothing outside is touched.
@LoopActor public struct Rendering {
  /// The text of the file; what was skipped, by its place in the configuration, with HAProxy's own words where it refused
  /// something; whether every service and section is there; whether every line is; and whether HAProxy accepts the text
  /// (nil: it could not be asked).
  public typealias Outcome = (
    text: String, problems: [String], isComplete: Bool, hasAllLines: Bool, isAccepted: Bool?
  )

  /// The section whose file it is.
  public let section: HAProxyConfiguration
  private let services: [(settings: ServiceSettings, defaultServers: [Backend])]

  init(_ section: HAProxyConfiguration, services: [(settings: ServiceSettings, defaultServers: [Backend])]) {
    self.section = section
    self.services = services
  }

  /// Renders services with their servers; those that are not named have their default servers.
  /// - Parameter candidate: the path where the text is written to be checked.
  public func file(of servers: [String: [Backend]], candidate: String) async -> Outcome {
    let logger = Logger(label: "synapse") { _ in SwiftLogNoOpLogHandler() }
    let checker = FileChecker(section.check, insteadOf: section.candidatePath)
    var section = section
    section.generator.keepsUnknownDirectives = checker.isActive
    // The ids of the running agent's servers are in its state file, and the addresses of its services in HAProxy's.
    let saved = section.stateFilePath.flatMap { try? Files.read($0, limit: 1 << 28) }
    let current = try? Files.read(section.filePath, limit: 1 << 30)
    let wanted = WantedModel(
      settings: section.generator, services: services.map(\.settings),
      memory: saved.flatMap(ServerMemory.init(stateFile:)) ?? ServerMemory(), clock: .system, logger: logger)
    if let current { wanted.recordListening(in: String(decoding: current, as: UTF8.self)) }
    _ = await wanted.setVersion(await checker.version())
    wanted.apply(
      services.map { service in
        let name = service.settings.service
        return ServiceSnapshot(service: name, backends: servers[name] ?? service.defaultServers)
      })
    await wanted.waitForNames()
    wanted.stop()
    let repair = FileRepair(
      path: candidate, mode: 0o600, checker: checker, logger: logger, metrics: HAProxyMetrics(Metrics(), statsd: nil))
    let (model, file, verdict) = await repair.settle(
      wanted.model, file: await FileRepair.render(wanted.model), current: nil)
    // What was skipped is one of the model's problems from then on, with HAProxy's words.
    let problems = model.problems
    var outcome: Outcome = (
      file.text, problems.map { ($0.severity == .badService ? "" : "warning: ") + $0.description },
      isComplete: problems.allSatisfy { $0.severity != .badService },
      hasAllLines: problems.allSatisfy { $0.severity == .doubt }, isAccepted: false
    )
    switch verdict {
    case .unchanged, .accepted: outcome.isAccepted = true
    case .unwritable(let error):
      outcome.isAccepted = nil
      outcome.problems.append("cannot be checked: \(error)")
    case .unchecked(let reason):
      outcome.isAccepted = nil
      outcome.problems.append("cannot be checked: \(reason)")
    case .refused(let alerts, let output):
      outcome.problems += alerts.map { alert in
        let text = alert.line.flatMap { file.content(ofLine: $0) }.map { " `\($0)`" } ?? ""
        return "\(file.place(of: alert)):\(text) HAProxy refuses it: \(alert.message)"
      }
      if alerts.isEmpty { outcome.problems.append("HAProxy refuses the file: \(output.suffix(600))") }
    case .unrepairable: break
    }
    return outcome
  }
}

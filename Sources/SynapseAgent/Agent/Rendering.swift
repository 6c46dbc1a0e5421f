internal import AgentKit
internal import HAProxyConfigGen
internal import Logging
public import Reactor
public import SmartStack
internal import YAMLConfig

/// HAProxy's file as the agent would write it, made by a command: nothing outside is touched.
@LoopActor public struct Rendering {
  /// How often lines that HAProxy refuses are taken out.
  private static let repairLimit = 50

  private let configuration: SynapseConfiguration
  /// How HAProxy is kept.
  public let section: HAProxyConfiguration

  /// What came of it.
  public struct Outcome {
    /// The file.
    public var text: String
    /// What was left out, by its place in the configuration, with HAProxy's own words where it refused something.
    public var problems: [String]
    /// Whether HAProxy takes the text; nil: it could not be asked.
    public var isAccepted: Bool?
  }

  /// Prepares the rendering; nil for a configuration without HAProxy.
  public init?(_ configuration: SynapseConfiguration) {
    guard let section = configuration.haproxy else { return nil }
    self.configuration = configuration
    self.section = section
  }

  /// Renders these services; those that are not named have no servers but their default ones.
  /// - Parameter candidate: where the text is written to be checked.
  public func file(of snapshots: [String: [Backend]], candidate: String) async -> Outcome {
    let checker = FileChecker(section.check)
    var settings = section.generator
    settings.keepsUnknownDirectives = checker.isActive
    settings.version = await checker.version()
    // The ids of the running agent's servers are in its state file.
    let saved = section.stateFilePath.flatMap { try? Files.read($0, limit: 1 << 28) }
    var model = ProxyModel(
      settings: settings, services: configuration.services.map(\.haproxy),
      memory: saved.map(ServerMemory.init(stateFile:)) ?? ServerMemory())
    let now = Int(LoopClock.system.unixTime)
    for service in configuration.services {
      let backends = snapshots[service.name] ?? service.rules.defaultServers
      model.apply(ServiceSnapshot(service: service.name, backends: backends), now: now)
    }
    var refusals: [String] = []
    for _ in 0..<Rendering.repairLimit {
      let file = model.render()
      let outcome = { (isAccepted: Bool?) in
        Outcome(text: file.text, problems: model.problems.map(\.description) + refusals, isAccepted: isAccepted)
      }
      do {
        try await BlockingWork.run {
          try AtomicFile.write(Array(file.text.utf8), to: candidate, mode: 0o600, sync: false)
        }
      } catch {
        refusals.append("cannot be checked: \(error)")
        return outcome(nil)
      }
      switch await checker.verdict(on: candidate) {
      case .good: return outcome(true)
      case .unknown(let reason):
        refusals.append("cannot be checked: \(reason)")
        return outcome(nil)
      case .refused(let report, let output):
        // What is left out is one of the model's problems from now on, with HAProxy's words.
        if model.leaveOut(refusedBy: report, of: file) { continue }
        refusals += Rendering.sentences(report, file)
        if report.alerts.isEmpty { refusals.append("HAProxy refuses the file: \(output.suffix(600))") }
        return outcome(false)
      }
    }
    return Outcome(text: model.render().text, problems: refusals, isAccepted: false)
  }

  private static func sentences(_ report: CheckReport, _ file: RenderedConfiguration) -> [String] {
    report.alerts.map { alert in
      let origin = alert.line.flatMap { file.origin(ofLine: $0) }?.description ?? alert.proxy ?? "the file"
      let text = alert.line.flatMap { file.content(ofLine: $0) }.map { " `\($0)`" } ?? ""
      return "\(origin):\(text) HAProxy refuses it: \(alert.message)"
    }
  }
}

import Glibc
import Hacheck
import Logging
import Reactor
import SmartStack
import TestSupport
import YAMLConfig
import ZooKeeper

@testable import NerveAgent
@testable import Registry

/// A configuration read from `text`, with the files of `directory` for `service_conf_dir`.
func load(_ text: String, instanceID: String? = nil, in directory: TemporaryDirectory = TemporaryDirectory())
  throws(ConfigError) -> NerveConfiguration
{
  let path = directory.path + "/nerve.conf.json"
  writeFile(path, text)
  return try NerveConfiguration.load(path: path, instanceID: instanceID)
}

/// A configuration with one service `web`, whose section starts with what every service needs.
func serviceText(_ more: String) -> String {
  """
  {"instance_id": "host1", "services": {"web": {"host": "10.0.0.5", "port": 3000,
  "zk_hosts": ["127.0.0.1:2181"], "zk_path": "/nerve/web"\(more.isEmpty ? "" : ", " + more)}}}
  """
}

let localEnsemble: ServerList = {
  do { return try ServerList(["127.0.0.1:2181"]) } catch { preconditionFailure("\(error)") }
}()

/// A service as the reader makes it, without going through a file.
func service(
  _ name: String = "web", weight: Int? = nil, mode: NodeMode = .ephemeralSequential, checks: [CheckConfiguration] = [],
  interval: Duration = .seconds(2), rateLimit: RateLimit? = nil, ensemble: ServerList = localEnsemble
) -> ServiceConfiguration {
  let payload = RegistrationPayload(host: "10.0.0.5", port: "3000", name: "host1", weight: weight)
  return ServiceConfiguration(
    key: name, name: name, host: "10.0.0.5", port: 3000,
    registry: .zooKeeper(
      ZooKeeperTarget(
        ensemble: ensemble,
        registration: Registration(
          directory: "/nerve/\(name)", name: payload.nodeName(pathEncoded: false), data: Array(payload.json.utf8),
          mode: mode))),
    checks: checks, interval: interval, isMocked: false, rateLimit: rateLimit)
}

/// A check whose kind does not matter because a scripted one stands in for it.
func check(_ name: String = "a", rise: Int = 1, fall: Int = 1) -> CheckConfiguration {
  CheckConfiguration(name: name, settings: UnusedSettings(), rise: rise, fall: fall)
}

private struct UnusedSettings: ProbeSettings {
  var deadline: Duration { .seconds(1) }

  init() {}
  init(_ section: ConfigSection, target: ProbeTarget) {}
  func probe(in context: ProbeContext) -> any Probe { ScriptedProbe() }
}

/// Answers what the test says, when the test says so.
@LoopActor final class ScriptedProbe: Probe {
  /// The answer to every probe; nil keeps probes waiting for ``answer(_:)``.
  var standing: Bool?
  private(set) var probes = 0
  private var waiting: [OneShotEvent<ProbeResult>] = []

  init(standing: Bool? = nil) { self.standing = standing }

  /// Probes that have not been answered.
  var open: Int { waiting.count }

  func run(deadline: Duration) async -> ProbeResult {
    probes += 1
    if let standing { return result(standing) }
    let answer = OneShotEvent<ProbeResult>()
    waiting.append(answer)
    return (try? await answer.outcome().get()) ?? result(false)
  }

  /// Answers the oldest open probe.
  func answer(_ passed: Bool) { answer(result(passed)) }

  func answer(_ result: ProbeResult) { waiting.removeFirst().happen(with: result) }

  private func result(_ passed: Bool) -> ProbeResult { passed ? .healthy("fine") : .refused("broken") }
}

/// Notes what is asked of it; confirms at once, or when the test says so.
@LoopActor final class FakeRecord: RegistryRecord {
  let place = "/record"
  let isReachable = true
  /// Every claim is an up, every claim that is given up a down.
  private(set) var reports: [Verdict] = []
  var isClosed = false
  var confirmsAtOnce = true
  private var claim: RecordClaim?

  func add(_ claim: RecordClaim) {
    reports.append(.up)
    self.claim = claim
    if confirmsAtOnce { confirm() }
  }

  func confirm() { claim?.onChange(.present(place: place)) }

  func remove(_ claim: RecordClaim) async -> Bool {
    reports.append(.down)
    self.claim = nil
    return true
  }

  func settle() async {}
  func discardUnclaimed() { reports.append(.down) }

  func touch() {}

  /// A registrar that keeps this record.
  func registrar(_ service: ServiceConfiguration = service()) -> Registrar {
    Registrar(
      target: service.registry, record: self, clock: .system, onClose: { [weak self] in self?.isClosed = true })
  }
}

/// A logger that says nothing.
let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

extension RegistrationTarget {
  /// The znode, if that is what it is.
  var zooKeeper: ZooKeeperTarget? { if case .zooKeeper(let target) = self { target } else { nil } }
}

extension Agent {
  /// The runner of one service.
  func runner(_ name: String) -> ServiceRunner? { host?.services.runners[name] }
  /// The session with the only ensemble.
  var session: SavedSession? { host?.publisher.sessions.values.first }
}

internal import Reactor
internal import YAMLConfig

/// Healthy when a TCP connection is accepted; nothing is sent.
struct TCPProbe: Probe, ProbeSettings {
  let endpoint: Endpoint
  var deadline = Duration.milliseconds(100)

  @LoopActor func run(deadline: Duration) async -> ProbeResult {
    await ProbeResult.of(endpoint, deadline: deadline) { _ in .healthy("connected") }
  }
}

extension TCPProbe {
  init(_ section: ConfigSection, target: ProbeTarget) throws(ConfigError) {
    endpoint = target.endpoint
    deadline = try section.probeTimeout(default: deadline)
  }
}

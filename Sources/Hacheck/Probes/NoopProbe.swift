internal import Reactor
internal import YAMLConfig

/// Always healthy: a service with this check is up as long as nerve runs.
struct NoopProbe: Probe, ProbeSettings {
  init(_ section: ConfigSection, target: ProbeTarget) { section.acknowledge("timeout") }

  var deadline: Duration { .zero }

  @LoopActor func run(deadline: Duration) async -> ProbeResult { .healthy("not checked") }
}

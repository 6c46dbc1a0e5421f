// Sessions of a fleet, several hundred to a process: what synapses and nerves keep up with an ensemble, without HAProxy and
// without checks. scripts/fleet starts it, changes the world, and reads what it prints: a line of JSON when a reader knows
// what it is expected to, and its metrics when asked.
//
//   fleet-sessions FILE     lives until its standard input ends; its lines are commands, see `obey`

internal import Glibc
internal import Logging
internal import Reactor
internal import Registry
internal import SmartStack
internal import YAMLConfig

@LoopActor final class FleetProcess {
  private let metrics = Metrics()
  private var synapses: [LightSynapse] = []
  private var nerves: [(host: Int, nerve: LightNerve)] = []
  private let settings: FleetSettings

  init(_ settings: FleetSettings) throws(ConfigError) {
    self.settings = settings
    let logger = Logger(label: "fleet") { _ in
      var handler = StreamLogHandler.standardError(label: "fleet")
      handler.logLevel = .warning
      return handler
    }
    for host in settings.hosts {
      if settings.isReading {
        synapses.append(LightSynapse(host, settings: settings, logger: logger, metrics: metrics))
      } else {
        nerves.append((host, try LightNerve(host, settings: settings, logger: logger, metrics: metrics)))
      }
    }
  }

  /// Carries a command out: a word, and numbers. Each process gets all of them and does its part.
  func obey(_ line: String) {
    let words = line.split(separator: " ")
    let numbers = words.dropFirst().compactMap { Double($0) }
    let counts = numbers.map { Int($0) }
    switch (words.first ?? "", numbers.count) {
    case ("expect", 2): for synapse in synapses { synapse.expect(Holding(servers: counts[0], weight: counts[1])) }
    case ("follow", 1): for synapse in synapses { synapse.follow(counts[0]) }
    case ("deploy", 2): for (_, nerve) in nerves { nerve.deploy(weight: counts[0], over: .seconds(numbers[1])) }
    case ("push", 2):
      for (_, nerve) in nerves { nerve.push(weight: counts[0], within: .seconds(numbers[1])) }
      for synapse in synapses { synapse.follow(settings.services) }
    case ("flap", 4):
      for (host, nerve) in nerves where host == counts[0] {
        nerve.flap(times: counts[1], every: .seconds(numbers[2]), weight: counts[3])
      }
    case ("metrics", 1):
      StandardOutput.show("{\"metrics\": \(counts[0]), \"text\": \(JSONText.quoted(metrics.render()))}\n")
    default: StandardOutput.say("fleet-sessions: \(line) makes no sense\n")
    }
  }
}

@main enum FleetSessions {
  static func main() {
    Task { @LoopActor in
      do {
        guard CommandLine.arguments.count == 2 else { throw OperatorError("usage: fleet-sessions FILE") }
        let (file, bytes) = (CommandLine.arguments[1], try Files.read(CommandLine.arguments[1], limit: 1 << 20))
        let process = try FleetProcess(FleetSettings(ConfigSection(YAMLDocument.parse(bytes, file: file))))
        while let line = try await BlockingWork.run({ readLine() }) { process.obey(line) }
        exit(0)
      } catch {
        StandardOutput.say("fleet-sessions: \(error)\n")
        exit(1)
      }
    }
    while true { pause() }
  }
}

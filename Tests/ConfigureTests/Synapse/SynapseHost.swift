internal import Reactor
internal import SmartStack
internal import TestSupport

@testable internal import Configure

extension HostFiles {
  /// Where configure_synapse finds this host's files.
  var inputs: ConfigureInputs {
    var inputs = ConfigureInputs()
    inputs.toolOptions = toolOptions
    inputs.services = services
    inputs.envoyMigration = envoyMigration
    inputs.locations = locations
    return inputs
  }

  /// The configuration made of the host as it stands.
  func make() throws -> ConfigurationMaker.Result {
    var maker = ConfigurationMaker(inputs)
    return try maker.make()
  }

  /// The configuration as a tree.
  func tree() throws -> JSONValue { JSONValue(try make().text.utf8) ?? .null }
}

/// Lines said and shown by a run.
@LoopActor final class Said {
  private(set) var lines: [String] = []
  private(set) var shown = ""

  func run(_ world: HostFiles, _ options: ConfigureSynapseOptions = ConfigureSynapseOptions()) -> ConfigureRun {
    ConfigureRun(
      inputs: world.inputs, options: options, say: { self.lines.append(world.plain($0)) },
      show: { self.shown += $0 })
  }

  func contains(_ words: String) -> Bool { lines.contains { $0.contains(words) } }
}

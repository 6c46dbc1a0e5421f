internal import Reactor
internal import SmartStack
internal import TestSupport

@testable internal import Configure

extension HostFiles {
  /// Options of a run that finds this host's files.
  func complete(_ options: ConfigureSynapseOptions = ConfigureSynapseOptions()) -> ConfigureSynapseOptions {
    var options = options
    options.toolOptions = toolOptions
    options.servicesDirectory = services
    options.envoyMigration = envoyMigration
    options.locationDirectory = locations
    return options
  }

  /// The configuration made of the host as it stands.
  func make() throws -> GeneratedSynapseConfiguration {
    var maker = SynapseConfigurationMaker(complete())
    return try maker.make()
  }

  /// The configuration as a tree.
  func tree() throws -> JSONValue { JSONValue(try make().text.utf8) ?? .null }
}

/// Lines said and shown by a run.
@LoopActor final class Said {
  private(set) var lines: [String] = []
  private(set) var shown = ""

  func configurator(
    _ world: HostFiles, _ options: ConfigureSynapseOptions = ConfigureSynapseOptions(), memory: ConfigureMemory? = nil
  ) -> SynapseConfigurator {
    SynapseConfigurator(
      options: world.complete(options), memory: memory, say: { self.lines.append(world.plain($0)) },
      show: { self.shown += $0 })
  }

  func contains(_ words: String) -> Bool { lines.contains { $0.contains(words) } }
}

extension GeneratedSynapseConfiguration {
  /// The file as text.
  var text: String { String(decoding: bytes, as: UTF8.self) }
}

internal import OperatorTools

/// One executable with two names, `nerve` and `synapse`, each an agent with its tools.
@main enum Main {
  static func main() {
    let nerve = CommandTable(
      agent: Command(NerveCommand.self),
      commands: Command.nerveTools + [Command(ConfigureNerveCommand.self, aliases: ["configure"])])
    let synapse = CommandTable(
      agent: Command(SynapseCommand.self),
      commands: Command.synapseTools + [Command(ConfigureSynapseCommand.self, aliases: ["configure"])])
    (synapse.isCalled ? synapse : nerve).main()
  }
}

internal import OperatorTools

/// `synapse` is several programs: the name it is called by, or its first word, selects one.
@main enum Main {
  static func main() {
    let configure = Command(ConfigureSynapseCommand.self, aliases: ["configure"])
    CommandTable(agent: Command(AgentCommand.self), commands: Command.synapseTools + [configure]).main()
  }
}

internal import OperatorTools

/// `nerve` is several programs: the name it is called by, or its first word, selects one.
@main enum Main {
  static func main() {
    let configure = Command(ConfigureNerveCommand.self, aliases: ["configure"])
    CommandTable(agent: Command(AgentCommand.self), commands: Command.nerveTools + [configure]).main()
  }
}

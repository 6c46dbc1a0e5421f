/// The programs of this room, by the name of the executable that runs them.
extension Command {
  /// The tools of nerve and hacheck.
  public static let nerveTools =
    [Command(NerveStatus.self), Command(NerveValidate.self), HacheckProgram.command] + DowntimeCommand.commands + [
      UpdownService.command, CleanNerve.command,
    ]

  /// The tools of synapse.
  public static let synapseTools = [
    Command(SynapseStatus.self), Command(SynapseValidate.self), Command(SynapseRender.self), ReplicationCommand.command,
    Command(Reaper.self), Command(ContainerMapCommand.self),
  ]
}

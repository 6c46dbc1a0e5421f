internal import Glibc
public import Reactor
public import SmartStack

/// What an agent leaves to the program that replaces it in its own process (SIGUSR2): open descriptors, and what it
/// knows that is in no file.
@LoopActor public struct Handover {
  /// The name of the environment variable that holds the descriptor of the notes.
  private static let variable = "SMARTSTACK_HANDOVER"

  /// Open descriptors by what they are, for example `lock`.
  public var descriptors: [String: Int32]
  /// What else the successor is to know. Another version wrote it, or will read it: every part may be missing.
  public var notes: JSONObject

  /// Of these descriptors and notes.
  public init(descriptors: [String: Int32] = [:], notes: JSONObject = JSONObject()) {
    self.descriptors = descriptors
    self.notes = notes
  }

  /// Takes what another part of the agent leaves.
  public mutating func add(_ other: Handover) {
    descriptors.merge(other.descriptors) { $1 }
    for (name, value) in other.notes.members { notes[name] = value }
  }

  /// What the program before this one left; nil when this process was started, not replaced. To be called once.
  public static func received() -> Handover? {
    guard let text = getenv(variable), let descriptor = Int32(String(cString: text)) else { return nil }
    unsetenv(variable)
    guard let bytes = ProcessImage.read(memory: descriptor), let notes = JSONValue(bytes) else { return nil }
    var handover = Handover(notes: notes["notes"]?.object ?? JSONObject())
    for (name, value) in notes["descriptors"]?.object?.members ?? [] {
      if let number = value.int.flatMap(Int32.init(exactly:)), fcntl(number, F_GETFD) >= 0 {
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        handover.descriptors[name] = number
      }
    }
    return handover
  }

  /// Runs `executable` in this process's place, with this process's arguments.
  /// - Throws: ``FileError`` when it cannot be run; this process then goes on.
  public func replaceProcess(by executable: String) throws(FileError) -> Never {
    var open = JSONObject()
    for (name, number) in descriptors { open[name] = .int(number) }
    let text = JSONValue.object(["descriptors": .object(open), "notes": .object(notes)]).text()
    let memory = try ProcessImage.memory(holding: Array(text.utf8))
    var environment = AgentProcess.environment
    environment[Handover.variable] = String(memory)
    try ProcessImage.replace(
      by: executable, arguments: CommandLine.arguments, environment: environment.map { "\($0.key)=\($0.value)" },
      keeping: descriptors.values + [memory])
  }
}

internal import Glibc
internal import Reactor
public import SmartStack

/// State that an agent hands to the program that replaces it in its own process (SIGUSR2): open descriptors, and
/// notes that are in no file.
public struct InPlaceUpgradeState: Sendable {
  /// The name of the environment variable that holds the descriptor of the notes.
  private static let variable = "SMARTSTACK_HANDOVER"

  /// Open descriptors by name, for example `lock`.
  public var descriptors: [String: Int32]
  /// Notes by name. Another version wrote them, or will read them: every one may be missing.
  public var notes: JSONObject

  /// Whether a stop came too late for this program: the next one has to stop, and take back what this one registered.
  var stops: Bool {
    get { notes["stop"]?.bool ?? false }
    set { notes["stop"] = .bool(newValue) }
  }

  /// Creates a state of these descriptors and notes.
  public init(descriptors: [String: Int32] = [:], notes: JSONObject = JSONObject()) {
    self.descriptors = descriptors
    self.notes = notes
  }

  /// Reads what the program before this one handed over; nil when this process was started, not upgraded. Callable
  /// once.
  @LoopActor public static func received() -> InPlaceUpgradeState? {
    guard let text = getenv(variable) else { return nil }
    // That of the notes, then all that are handed over: whatever the notes say, none stays open unknown. A lock would
    // keep this very process out.
    let handed = String(cString: text).split(separator: ",").compactMap { Int32($0) }
    unsetenv(variable)
    guard let memory = handed.first else { return nil }
    guard let bytes = ThisProcess.read(memory: memory), let notes = JSONValue(bytes),
      notes["descriptors"]?.object != nil
    else {
      for descriptor in handed.dropFirst() { close(descriptor) }
      return nil
    }
    var state = InPlaceUpgradeState(notes: notes["notes"]?.object ?? JSONObject())
    for (name, value) in notes["descriptors"]?.object?.members ?? [] {
      if let number = value.int.flatMap(Int32.init(exactly:)), fcntl(number, F_GETFD) >= 0 {
        _ = fcntl(number, F_SETFD, FD_CLOEXEC)
        state.descriptors[name] = number
      }
    }
    for descriptor in handed.dropFirst() where !state.descriptors.values.contains(descriptor) { close(descriptor) }
    // Held back until the agent listens to it.
    if state.stops { kill(getpid(), SIGTERM) }
    return state
  }

  /// Runs `executable` in this process's place, with this process's arguments.
  /// - Throws: ``FileError`` when it cannot be run; this process then continues.
  @LoopActor func replaceProcess(by executable: String) throws(FileError) -> Never {
    var open = JSONObject()
    for (name, number) in descriptors { open[name] = .int(number) }
    let text = JSONValue.object(["descriptors": .object(open), "notes": .object(notes)]).text()
    let memory = try ThisProcess.memory(holding: Array(text.utf8))
    var environment = ProcessEnvironment.current
    environment[InPlaceUpgradeState.variable] = ([memory] + Array(descriptors.values)).map(String.init).joined(
      separator: ",")
    try ThisProcess.replace(
      by: executable, arguments: CommandLine.arguments, environment: environment.map { "\($0.key)=\($0.value)" },
      keeping: descriptors.values + [memory])
  }

  /// Has `executable` read the configuration that this process was started with, by `--check-config`: the upgrade would
  /// lose what it rejects.
  /// - Returns: the reason against the upgrade; nil when there is none.
  @LoopActor static func refusal(of executable: String) async -> String? {
    do {
      let arguments = Array(CommandLine.arguments.dropFirst()) + ["--check-config"]
      let result = try await ChildProcess.run(executable, arguments: arguments, deadline: .seconds(30))
      if result.status == .exited(0) { return nil }
      let words = String(decoding: (result.output + result.errorOutput).suffix(500), as: UTF8.self)
      return "its --check-config ended with \(result.status): \(words)"
    } catch {
      return "\(error)"
    }
  }
}

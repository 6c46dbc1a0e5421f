internal import Glibc
public import Reactor

/// One of our executables as a process of its own, as it was built beside the tests.
@LoopActor public final class AgentProgram {
  private let name: String
  private let arguments: [String]
  private let wrapper: [String]
  private let executable: String?
  private let logPath: String
  private var child: ChildProcess?

  /// - Parameters:
  ///   - name: the executable.
  ///   - wrapper: a program that runs it in its own place, with arguments.
  ///   - executable: where it is, in place of its build.
  ///   - logPath: where its output is appended to.
  public init(
    _ name: String, _ arguments: [String], under wrapper: [String] = [], at executable: String? = nil, logPath: String
  ) {
    self.name = name
    self.arguments = arguments
    self.wrapper = wrapper
    self.executable = executable
    self.logPath = logPath
  }

  /// Its process id; 0 before the start.
  public var pid: Int32 { child?.pid ?? 0 }
  /// How it ended; nil while it runs.
  public var status: ChildResult.Status? { child?.status }
  /// What it has said.
  public var log: String {
    (try? Files.read(logPath, limit: 64 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
  }

  /// How often `words` occur in its log.
  public func count(of words: String) -> Int { log.split(separator: "\n").count { $0.contains(words) } }

  /// Starts it, once more if it has ended.
  public func start() throws {
    let words = wrapper + [executable ?? AgentProgram.path(of: name)] + arguments
    child = try ChildProcess.start(words[0], arguments: Array(words.dropFirst()), log: logPath)
  }

  /// Sends it a signal.
  public func signal(_ number: Int32) { Glibc.kill(pid, number) }

  /// Kills it and waits for its end.
  public func kill() async {
    child?.kill()
    _ = try? await child?.wait()
  }

  /// Where an executable of this build is.
  public static func path(of name: String) -> String {
    let own = ThisProcess.path ?? ""
    return String(own[..<(own.lastIndex(of: "/") ?? own.startIndex)]) + "/" + name
  }
}

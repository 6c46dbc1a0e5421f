/// How a child process ended.
public struct ChildResult: Equatable, Sendable {
  /// The way it ended.
  public enum Status: Equatable, Sendable {
    /// By itself, with this exit status.
    case exited(Int32)
    /// By this signal, not sent by us.
    case signalled(Int32)
    /// Killed by us at the deadline.
    case timedOut
  }

  public var status: Status
  public var output: [UInt8]
  public var errorOutput: [UInt8]
  public var isTruncated: Bool
  public var elapsed: Duration
}

@LoopActor public enum ChildProcess {
  public static func run(
    _ executable: String, _ arguments: [String], environment: [String: String]? = nil,
    workingDirectory: String? = nil, input: [UInt8] = [], deadline: Duration, outputLimit: Int = 64 << 10
  ) async throws -> ChildResult {
    throw FileError("run", executable, reason: "skeleton")
  }

  public static func start(
    _ executable: String, _ arguments: [String], environment: [String: String]? = nil,
    workingDirectory: String? = nil, onLine: (@LoopActor (String) -> Void)? = nil
  ) throws -> RunningChild {
    throw FileError("run", executable, reason: "skeleton")
  }
}

@LoopActor public final class RunningChild {
  public let pid: Int32
  init(pid: Int32) { self.pid = pid }
  public func signal(_ number: Int32) {}
  public func terminate() {}
  public func kill() {}
  public func wait() async throws -> ChildResult.Status { .timedOut }
}

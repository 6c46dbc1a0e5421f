internal import Glibc
public import Reactor

extension ChildProcess {
  /// Starts a program that is to stay; its standard input is `/dev/null`.
  /// - Parameter log: the file to whose end its standard output and error go; nil is `/dev/null`.
  public static func start(
    _ executable: String, arguments: [String], environment: [String: String]? = nil,
    workingDirectory: String? = nil, log: String? = nil
  ) throws -> ChildProcess {
    var request = SpawnRequest(executable: executable, arguments: arguments)
    request.environment = environment
    request.workingDirectory = workingDirectory
    if let log { request.output = .path(log, O_WRONLY | O_CREAT | O_APPEND) }
    return try ChildProcess(request)
  }
}

extension HTTPResponse {
  /// The first value of `name`, whatever its case.
  public func header(_ name: String) -> String? { headers.first { $0.has(name: name) }?.value }
}

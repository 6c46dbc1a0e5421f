internal import HAProxyConfigGen
internal import Reactor

/// Asks HAProxy whether it would start with a file.
@LoopActor struct FileChecker {
  /// What HAProxy answers about a file.
  enum Verdict {
    /// HAProxy would start with it.
    case good
    /// HAProxy would not start with it.
    case refused(CheckReport, output: String)
    /// HAProxy could not be asked.
    case unknown(reason: String)
  }

  private static let deadline: Duration = .seconds(60)

  private let check: FileCheck
  private let executable: String?

  init(_ check: FileCheck) {
    self.check = check
    executable = check == .installedHAProxy ? FileChecker.installedHAProxy() : nil
  }

  /// Whether there is anything to ask.
  var isActive: Bool {
    switch check {
    case .none: false
    case .installedHAProxy: executable != nil
    case .command: true
    }
  }

  /// The release that checks files; nil: nobody is asked, or a command that may be anything.
  func version() async -> HAProxyVersion? {
    guard let executable,
      let result = try? await ChildProcess.run(executable, arguments: ["-v"], deadline: .seconds(10))
    else {
      return nil
    }
    // `HAProxy version 2.6.12-1 …`, before 2.4 `HA-Proxy version`.
    let words = String(decoding: result.output.prefix(200), as: UTF8.self).split(separator: " ")
    return words.count > 2 && words[1] == "version" ? HAProxyVersion(String(words[2])) : nil
  }

  /// Checks the file at `path`.
  func verdict(on path: String) async -> Verdict {
    switch check {
    case .none: return .good
    case .installedHAProxy:
      guard let executable else { return .good }
      return await run(executable, arguments: ["-c", "-f", path], on: path)
    case .command(let command): return await run("/bin/sh", arguments: ["-c", command], on: path)
    }
  }

  private func run(_ executable: String, arguments: [String], on path: String) async -> Verdict {
    do {
      let result = try await ChildProcess.run(
        executable, arguments: arguments, deadline: FileChecker.deadline, outputLimit: 1 << 20)
      let output = String(decoding: result.output + [10] + result.errorOutput, as: UTF8.self)
      switch result.status {
      case .exited(0): return .good
      // HAProxy's own word for a file without any listener: nothing wrong with it, nothing to start.
      case .exited(2) where output.contains("no listener") && !output.contains("ALERT"): return .good
      case .exited: return .refused(CheckReport(output: output, path: path), output: output)
      case .signalled(let number): return .unknown(reason: "\(executable) was ended by signal \(number)")
      case .timedOut: return .unknown(reason: "\(executable) did not end within \(FileChecker.deadline)")
      }
    } catch {
      return .unknown(reason: "\(error)")
    }
  }

  /// Where HAProxy is installed; nil: nowhere we look.
  private static func installedHAProxy() -> String? {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map { $0 + "/haproxy" }.first(where: Files.exists)
  }
}

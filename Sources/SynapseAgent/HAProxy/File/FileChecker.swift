internal import AgentKit
internal import Glibc
internal import HAProxyConfigGen
internal import Reactor

/// What became of a candidate for HAProxy's file.
enum FileVerdict {
  /// HAProxy has this file already.
  case unchanged
  /// HAProxy would start with it.
  case accepted
  /// The candidate could not be written.
  case unwritable(FileError)
  /// HAProxy could not be asked.
  case unchecked(reason: String)
  /// HAProxy would not start with it, and nothing of it can be skipped.
  case refused([CheckAlert], output: String)
  /// HAProxy refuses whatever remains.
  case unrepairable
}

/// Asks HAProxy whether it would start with a file.
@LoopActor struct FileChecker {
  private static let deadline: Duration = .seconds(60)

  private let check: FileCheck
  private let executable: String?

  /// The path that the check's command names; nil: the path that is checked.
  private let agentsCandidate: String?

  /// - Parameter candidate: the path that the check's command names, if another one is to be checked in its place.
  init(_ check: FileCheck, insteadOf candidate: String? = nil) {
    self.check = check
    agentsCandidate = candidate
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

  /// Whether a candidate may have another path than the configured one, which a command may name.
  var judgesAnyPath: Bool {
    switch check {
    case .none, .installedHAProxy: true
    case .command: false
    }
  }

  /// Whether nothing but HAProxy's syntax decides, so that two files of one form have one verdict.
  var judgesTextAlone: Bool { check == .installedHAProxy }

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

  func verdict(on path: String) async -> FileVerdict {
    switch check {
    case .none: return .accepted
    case .installedHAProxy:
      guard let executable else { return .accepted }
      return await run(executable, arguments: ["-c", "-f", path], on: path)
    case .command(let command):
      // The command names the agent's candidate; a command of ours that renders elsewhere has its own.
      let own = agentsCandidate.map { command.replacing($0, by: path) } ?? command
      return await run("/bin/sh", arguments: ["-c", own], on: path)
    }
  }

  private func run(_ executable: String, arguments: [String], on path: String) async -> FileVerdict {
    do {
      let result = try await ChildProcess.run(
        executable, arguments: arguments, deadline: FileChecker.deadline, outputLimit: 1 << 20)
      let output = String(decoding: result.output + [10] + result.errorOutput, as: UTF8.self)
      switch result.status {
      case .exited(0): return .accepted
      // HAProxy's own word for a file without any listener: nothing wrong with it, nothing to start.
      case .exited(2) where output.contains("no listener") && !output.contains("ALERT"): return .accepted
      case .exited: return .refused(CheckAlert.all(in: output, path: path), output: output)
      case .signalled(let number): return .unchecked(reason: "\(executable) was killed by signal \(number)")
      case .timedOut: return .unchecked(reason: "\(executable) did not end within \(FileChecker.deadline)")
      case .lost: return .unchecked(reason: "\(executable) \(result.status)")
      }
    } catch {
      return .unchecked(reason: "\(error)")
    }
  }

  /// Where HAProxy is installed: in a folder of PATH, or where packages have it; nil: nowhere.
  static func installedHAProxy(path: String = ProcessEnvironment["PATH"] ?? "") -> String? {
    let path = path.split(separator: ":").map(String.init).filter { $0.hasPrefix("/") }
    let usual = ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"]
    return (path + usual).map { $0 + "/haproxy" }.first { access($0, X_OK) == 0 }
  }
}

extension String {
  /// The text with every `part` replaced.
  fileprivate func replacing(_ part: String, by other: String) -> String {
    if part.isEmpty { return self }
    return split(separator: part, omittingEmptySubsequences: false).joined(separator: other)
  }
}

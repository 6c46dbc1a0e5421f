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

  /// Checks the file at `path`.
  func verdict(on path: String) async -> FileVerdict {
    switch check {
    case .none: return .accepted
    case .installedHAProxy:
      guard let executable else { return .accepted }
      return await run(executable, arguments: ["-c", "-f", path], on: path)
    case .command(let command): return await run("/bin/sh", arguments: ["-c", command], on: path)
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

  /// Where HAProxy is installed; nil: nowhere we look.
  private static func installedHAProxy() -> String? {
    ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map { $0 + "/haproxy" }.first(where: Files.exists)
  }
}

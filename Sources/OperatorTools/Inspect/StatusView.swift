internal import AgentKit
internal import ArgumentParser
internal import Glibc
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// What `nerve status` and `synapse status` have in common: where the running agent is asked, what is shown of its report.
struct StatusView: ParsableArguments {
  /// Between two looks with `--watch`.
  private static let interval = Duration.seconds(2)
  /// To the first column of the first line, to the end of a line, and to the end of the screen: what is drawn over does
  /// not flicker, and what was on the terminal before stays in its memory.
  private static let (home, clearLine, clearRest) = ("\u{1b}[H", "\u{1b}[K", "\u{1b}[J")

  @Argument(
    help: ArgumentHelp("Services to show; * and ? stand for other characters. (default: all)", valueName: "service"))
  private var services: [String] = []
  @Flag(help: "Show only services that are not up.") private var down = false
  @Flag(help: "Show everything: addresses, registrations, servers, reloads.") private var wide = false
  @Flag(help: "Show the status again every 2 seconds, until interrupted.") private var watch = false
  @Flag(help: "Print JSON.") private var json = false

  /// Asks, prints, and exits: 1 if what is shown is not as it should be, 2 if no agent answers.
  /// - Parameters:
  ///   - agent: its name.
  ///   - lines: what a person is shown of a report.
  ///   - ask: requests the report.
  @LoopActor func run(
    of agent: String, lines: (JSONValue, StatusStyle) -> [String], ask: () async throws -> JSONValue
  ) async throws {
    var style = StatusStyle(environment: ProcessEnvironment.current)
    style.isWide = wide
    style.hidesUp = down
    while true {
      var status: Int32 = 2
      var text = ""
      do {
        let report = try await ask()
        let shown = try select(from: report)
        status = StatusView.isOK(shown, of: report, whole: services.isEmpty) ? 0 : 1
        var lines = json ? [] : lines(shown, style)
        if watch, let height = style.height, lines.count > height - 1 {
          lines = lines.prefix(height - 2) + ["… \((lines.count - height + 2).counted("more line"))"]
        }
        text = json ? shown.text(JSONStyle(indent: 2)) + "\n" : lines.map { $0 + "\n" }.joined()
      } catch {
        if watch, style.width != nil { StandardOutput.show(StatusView.home + StatusView.clearRest) }
        StandardOutput.say("\(agent) status: \(error)\n")
      }
      if !watch {
        StandardOutput.show(text)
        if status != 0 { throw ExitCode(status) }
        return
      }
      if !text.isEmpty { StandardOutput.show(style.width == nil ? text : StatusView.overdrawn(text)) }
      try? await LoopClock.system.sleep(for: StatusView.interval)
    }
  }

  /// The text in place of what is on the screen.
  private static func overdrawn(_ text: String) -> String {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
    return home + lines.map { "\($0)\(clearLine)\n" }.joined() + clearRest
  }

  /// Leaves what was asked for of a report's services.
  private func select(from report: JSONValue) throws(OperatorError) -> JSONValue {
    guard var object = report.object else { throw OperatorError("the agent's answer is not an object") }
    for key in ["services", "skipped"] {
      object[key] = .array(
        (report[key]?.array ?? []).filter { service in
          isChosen(service["name"]?.string ?? "") && !(json && down && service["ok"]?.bool == true)
        })
    }
    let all = ["services", "skipped"].flatMap { report[$0]?.array ?? [] }.compactMap { $0["name"]?.string }
    for word in services where !all.contains(where: { StatusView.fits($0, word: word) }) {
      let hint = word.nearest(in: all).map { "; did you mean '\($0)'?" } ?? ""
      throw OperatorError("there is no service '\(word)'\(hint)")
    }
    return .object(object)
  }

  private func isChosen(_ name: String) -> Bool {
    services.isEmpty || services.contains { StatusView.fits(name, word: $0) }
  }

  /// Whether a service is meant by a word: its name, a pattern, or the part of its name before a `.` or `:`.
  static func fits(_ name: String, word: String) -> Bool {
    fnmatch(word, name, 0) == 0 || name.hasPrefix(word + ".") || name.hasPrefix(word + ":")
  }

  /// - Parameter whole: whether everything counts, not only the services shown.
  private static func isOK(_ shown: JSONValue, of report: JSONValue, whole: Bool) -> Bool {
    if whole { return report["ok"]?.bool == true }
    let skipped = shown["skipped"]?.array ?? []
    return skipped.isEmpty && (shown["services"]?.array ?? []).allSatisfy { $0["ok"]?.bool == true }
  }
}

extension StatusServer {
  /// Requests the report of one agent that runs on this host.
  /// - Parameters:
  ///   - agent: its name.
  ///   - configuration: tells its `state_dir`, if the file can be read, and which of several agents is meant.
  ///   - instance: which of several agents is meant; nil: any.
  /// - Throws: an `OperatorError`: no agent answers, or several.
  static func report(
    of agent: String, configuration: String, instance: String? = nil
  ) async throws(OperatorError) -> JSONValue {
    let answers = try await reports(
      in: StateDirectory.candidates(configured: stateDirectory(in: configuration), agent: agent))
    var reports = answers.filter { $0["agent"]?.string == agent }
    if let instance { reports = reports.filter { $0["instance"]?.string == instance } }
    if reports.count > 1 { reports = reports.filter { $0["configuration"]?.string == configuration } }
    guard reports.count < 2, let report = reports.first else {
      let names = answers.map { "pid \($0["pid"]?.int ?? 0) with \($0["configuration"]?.string ?? "?")" }
      throw OperatorError("which one is meant? These answer: \(names.joined(separator: ", ")); choose with -c FILE")
    }
    return report
  }

  /// Whatever else is wrong with the file: the agent runs with what it read earlier.
  private nonisolated static func stateDirectory(in path: String) -> String? {
    var files = ConfigurationFiles(environment: ProcessEnvironment.current)
    guard let document = try? files.document(at: path),
      let section = try? ConfigSection(document.root)
    else { return nil }
    return (try? section.optionalString("state_dir")) ?? nil
  }
}

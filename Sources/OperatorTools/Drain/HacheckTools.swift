internal import Glibc
internal import Hacheck
internal import Reactor
internal import SmartStack

/// The operators' five commands, with the original's arguments, output and exit codes: `haup`, `hadown`,
/// `hastatus`, `halist`, `hashowdowned`.
public enum HacheckTools {
  /// The commands' names.
  public static let names = ["haup", "hadown", "hastatus", "halist", "hashowdowned"]

  /// What a command prints and ends with.
  public struct Outcome: Equatable, Sendable {
    /// 0; 1 for something down or something that failed; 2 for a wrong command line.
    public var exitCode: Int32 = 0
    /// For the standard output.
    public var output = ""
    /// For the standard error.
    public var errorOutput = ""
  }

  /// Runs one command to its end. Reads and writes the spool; `halist` asks the hacheck on this machine.
  ///
  /// - Parameters:
  ///   - name: one of ``names``.
  ///   - arguments: without the command's name.
  ///   - environment: `SUDO_USER` and `SSH_USER` say who marks something down.
  ///   - isTerminal: whether a person reads the output: `hashowdowned` then tells times in words.
  public static func run(
    name: String, arguments: [String], environment: [String: String], isTerminal: Bool = false
  ) async -> Outcome {
    let command: ToolCommand
    do {
      command = try ToolCommand(name, arguments)
    } catch {
      switch error {
      case .helpWanted:
        return Outcome(output: CommandLineOptions.help(usage: ToolCommand.usage(name), ToolCommand.options))
      case .versionWanted: return Outcome(output: "\(name) \(Release.version)\n")
      case .wrong(let sentence):
        return Outcome(exitCode: 2, errorOutput: "Usage: \(ToolCommand.usage(name))\n\n\(name): error: \(sentence)\n")
      }
    }
    do {
      switch command.action {
      case .up: return try command.up()
      case .down: return try command.down(by: ToolCommand.person(environment), now: now())
      case .status: return try command.status(now: now())
      case .statusDowned: return try command.showDowned(now: now(), inWords: isTerminal)
      case .list: return try await command.list()
      }
    } catch {
      return Outcome(exitCode: 1, errorOutput: "\(name): \(error)\n")
    }
  }

  private static func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }
}

/// One command line, understood.
struct ToolCommand {
  enum Action: String, CaseIterable {
    case up, down, status
    case statusDowned = "status_downed"
    case list
  }

  let action: Action
  private let directory: SpoolDirectory
  private let services: [String]
  private let host: String?
  private let port: Int?
  private let reason: String
  private let expiration: Double?
  private let agentPort: Int
  private let wantsJSON: Bool

  /// Who must say why, in person: a file of account names with comments.
  private static let nonhumansPath = "/etc/nonhumans"
  private static let listDeadline = Duration.seconds(3)

  static let options = [
    CommandLineOptions.Option(
      nil, "spool-root", .text, "Root for spool for service states (default /var/spool/hacheck)"),
    CommandLineOptions.Option(
      "a", "action", .choice(Action.allCases.map(\.rawValue)), "Action; the command's name says which is the default"),
    CommandLineOptions.Option("r", "reason", .text, "Reason string when setting down"),
    CommandLineOptions.Option("e", "expiration", .number, "Expiration time (unix time) when setting down"),
    CommandLineOptions.Option("P", "service-port", .integer, "Port to check/set status for"),
    CommandLineOptions.Option("H", "service-host", .text, "Service host to check/set status for"),
    CommandLineOptions.Option("p", "port", .text, "Port that the hacheck daemon is running on (default 3333)"),
    CommandLineOptions.Option(nil, "json", .flag, "Print JSON (hastatus, hashowdowned, halist)"),
  ]

  static func usage(_ name: String) -> String { "\(name) [options] service_name(s)" }

  private static func defaultAction(_ name: String) -> Action {
    switch name {
    case "haup": .up
    case "hadown": .down
    case "hastatus": .status
    case "hashowdowned": .statusDowned
    default: .list
    }
  }

  init(_ name: String, _ words: [String]) throws(CommandLineOptions.Problem) {
    let options = try CommandLineOptions(words, ToolCommand.options)
    action = options["action"].flatMap(Action.init) ?? ToolCommand.defaultAction(name)
    directory = SpoolDirectory(root: options["spool-root"] ?? "/var/spool/hacheck")
    services = options.arguments
    host = options["service-host"].flatMap { $0.isEmpty ? nil : $0 }
    port = options.integer("service-port")
    reason = options["reason"] ?? ""
    wantsJSON = options["json"] != nil
    expiration = options["expiration"].flatMap { Double(decimal: $0) }
    guard let agentPort = Int(options["port"] ?? "3333"), (1...65535).contains(agentPort) else {
      throw .wrong("option -p: \(options["port"] ?? "") is no port")
    }
    self.agentPort = agentPort
    try validate()
  }

  private func validate() throws(CommandLineOptions.Problem) {
    if wantsJSON, action == .up || action == .down {
      throw .wrong("--json: action \(action.rawValue) prints nothing")
    }
    let takesServices = action == .up || action == .down || action == .status
    guard takesServices else {
      if services.isEmpty { return }
      let list = services.map { "'\($0)'" }.joined(separator: ", ")
      throw .wrong("Unexpected args for action \(action.rawValue): [\(list)]")
    }
    if services.isEmpty { throw .wrong("Expected args for action \(action.rawValue)") }
    if host != nil, port ?? 0 == 0 {
      throw .wrong("Service port required if service host specified for action \(action.rawValue)")
    }
    if let port, !(0...65535).contains(port) { throw .wrong("option -P: \(port) is no port") }
    if let name = services.map({ scope($0).description }).first(where: { !SpoolDirectory.isName($0) }) {
      throw .wrong("\(name.quoted) cannot be marked: it would be no file of the spool")
    }
  }

  private func scope(_ service: String) -> SpoolScope { SpoolScope(service: service, port: port, host: host) }

  // MARK: haup, hadown

  func up() throws -> HacheckTools.Outcome {
    try directory.prepare(forWriting: true)
    for service in services {
      try change(scope(service).description) { name throws(FileError) in try directory.up(name) }
    }
    return HacheckTools.Outcome()
  }

  func down(by person: String, now: Double) throws -> HacheckTools.Outcome {
    let reason = reason.isEmpty ? person : reason
    if self.reason.isEmpty, ToolCommand.nonhumans().contains(person) {
      return HacheckTools.Outcome(exitCode: 1, output: "please use --reason option to tell us who you REALLY are\n")
    }
    try directory.prepare(forWriting: true)
    for service in services {
      try change(scope(service).description) { name throws(FileError) in
        try directory.down(name, reason: reason, expiration: expiration, creation: nil, now: now)
      }
    }
    return HacheckTools.Outcome()
  }

  private func change(_ name: String, _ body: (String) throws(FileError) -> Void) throws(FileError) {
    try body(name)
    try directory.sync(name)
  }

  /// The person at the keyboard, as far as the environment tells.
  static func person(_ environment: [String: String]) -> String {
    if let name = environment["SUDO_USER"] ?? environment["SSH_USER"] { return name }
    guard let entry = getpwuid(geteuid()), let name = entry.pointee.pw_name else { return "\(geteuid())" }
    return String(cString: name)
  }

  private static func nonhumans() -> Set<String> {
    let bytes = (try? Files.read(nonhumansPath, limit: 1 << 20)) ?? []
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    return Set(lines.map { String(Substring($0.cut(at: "#").before.utf8.trimmedBlanks)) }.filter { !$0.isEmpty })
  }

  // MARK: hastatus, hashowdowned

  func status(now: Double) throws -> HacheckTools.Outcome {
    try directory.prepare(forWriting: false)
    let found = try services.map { ($0, try markInForce($0, now: now)) }
    let exitCode: Int32 = found.contains { $0.1 != nil } ? 1 : 0
    let output =
      wantsJSON
      ? ToolJSON.list(found.map { ToolJSON.status($0.0, $0.1?.mark) })
      : found.map { service, found in
        guard let (mark, hint) = found else { return "UP\t\(service)\n" }
        return ToolCommand.line(mark, shown: ToolCommand.shown(scope(service)), hint: hint)
      }.joined()
    return HacheckTools.Outcome(exitCode: exitCode, output: output)
  }

  /// The instance's own mark, else the service's, else the one on everything, with the words that tell.
  private func markInForce(_ service: String, now: Double) throws(FileError) -> (mark: Downtime, hint: String)? {
    let scopes = [scope(service), SpoolScope(service: service, port: nil), .everything]
    for scope in scopes {
      guard let mark = try mark(scope.description, now: now) else { continue }
      if scope == scopes[0] { return (mark, "") }
      return (mark, scope == .everything ? " (all services are down)" : " (all of \(service) is down)")
    }
    return nil
  }

  func showDowned(now: Double, inWords: Bool) throws -> HacheckTools.Outcome {
    try directory.prepare(forWriting: false)
    let marks = try directory.names().compactMap { try mark($0, now: now) }
    if wantsJSON { return HacheckTools.Outcome(output: ToolJSON.list(marks.map(ToolJSON.mark))) }
    let lines = marks.map { mark in
      let end = inWords ? ToolCommand.endInWords(mark, now: now) : ToolCommand.end(mark)
      return "DOWN\t\(end)\t\(ToolCommand.shown(mark.scope))\t\(mark.reason)\n"
    }
    return HacheckTools.Outcome(output: lines.joined())
  }

  private func mark(_ name: String, now: Double) throws(FileError) -> Downtime? {
    guard let mark = try directory.read(name)?.downtime(of: SpoolScope(fileName: name)) else { return nil }
    guard mark.hasExpired(at: now) else { return mark }
    try directory.removeExpired(name, now: now)
    return nil
  }

  private static func shown(_ scope: SpoolScope) -> String {
    guard case .instance(let service, let host, let port) = scope else { return scope.description }
    return "\(service):\(host ?? ""):\(port)"
  }

  private static func line(_ mark: Downtime, shown: String, hint: String) -> String {
    "DOWN\t\(end(mark))\t\(shown)\t\(mark.reason)\(hint)\n"
  }

  private static func end(_ mark: Downtime) -> String { mark.expiration?.sixDecimals ?? "inf" }

  private static func endInWords(_ mark: Downtime, now: Double) -> String {
    mark.expiration.map { "\(TimeWords.length(seconds: $0 - now)) left" } ?? "no end"
  }

  // MARK: halist

  func list() async throws -> HacheckTools.Outcome {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: agentPort), target: "/recent")
    let limits = HTTPClientLimits(maxBodyBytes: 64 << 20)
    let response = try await HTTPClient.send(request, deadline: ToolCommand.listDeadline, limits: limits)
    guard response.status == 200, let answer = JSONValue(response.body, dialect: .python),
      case .array(let items) = answer["seen_services"]
    else { throw ToolFailure(description: "port \(agentPort) answers, but not as hacheck does") }
    let listed = items.compactMap(ToolCommand.listed).sorted { $0.name < $1.name }
    if wantsJSON { return HacheckTools.Outcome(output: ToolJSON.list(listed.map { ToolJSON.seen($0.name, $0.last) })) }
    let lines = listed.map { name, last in last.map { "\(name) last_response=\($0)\n" } ?? "\(name)\n" }
    return HacheckTools.Outcome(output: lines.joined())
  }

  private static func listed(_ item: JSONValue) -> (name: String, last: JSONValue?)? {
    switch item {
    case .string(let name): (name, nil)
    case .array(let pair):
      if pair.count == 2, case .string(let name) = pair[0] { (name, pair[1]) } else { nil }
    default: nil
    }
  }
}

/// A sentence for the standard error.
private struct ToolFailure: Error, CustomStringConvertible {
  let description: String
}

internal import AgentKit
internal import Glibc
internal import Hacheck
internal import Reactor
internal import SmartStack

/// One of the operators' five commands, with upstream's arguments, output and exit statuses: `haup`, `hadown`,
/// `hastatus`, `halist`, `hashowdowned`.
struct DowntimeCommand {
  /// The output and the exit status of a command.
  struct Outcome: Equatable, Sendable {
    /// 0; 1 for something down or a failure; 2 for a wrong command line.
    var exitCode: Int32 = 0
    /// For the standard output.
    var output = ""
    /// For the standard error.
    var errorOutput = ""
  }

  enum Action: String, CaseIterable {
    case up, down, status
    case statusDowned = "status_downed"
    case list

    /// The name of the command whose action it is.
    var command: String {
      switch self {
      case .up: "haup"
      case .down: "hadown"
      case .status: "hastatus"
      case .statusDowned: "hashowdowned"
      case .list: "halist"
      }
    }

    var summary: String {
      switch self {
      case .up: "End a downtime: the service is registered again."
      case .down: "Start a downtime: the service is withdrawn from the registry at once."
      case .status: "Show whether services are drained; exit with 1 if one is."
      case .statusDowned: "List the active downtimes."
      case .list: "List the services that hacheck has checked lately."
      }
    }
  }

  /// The five, for the table of commands.
  static let commands = Action.allCases.map { action in
    Command(action.command, summary: action.summary) { arguments in
      let command = try DowntimeCommand(action.command, arguments: arguments)
      let outcome = await command.run(
        environment: ProcessEnvironment.current, isTerminal: isatty(STDOUT_FILENO) == 1)
      StandardOutput.show(outcome.output)
      StandardOutput.say(outcome.errorOutput)
      return outcome.exitCode
    }
  }

  /// Runs a command as a part of another one.
  static func run(name: String, arguments: [String], environment: [String: String]) async -> Outcome {
    do {
      var command = try DowntimeCommand(name, arguments: arguments)
      command.warnsOfStrangers = false
      return await command.run(environment: environment, isTerminal: false)
    } catch {
      return switch error {
      case .text(let text): Outcome(output: text)
      case .wrong(let problem): Outcome(exitCode: 2, errorOutput: CommandUsage.complaint(problem, of: name))
      }
    }
  }

  /// Whether `hadown` tells of services that nobody knows: not as a part of a deploy, whose services may be about to start,
  /// and not with another spool than that of the hacheck that would be asked.
  var warnsOfStrangers: Bool

  /// Runs the command. Reads and writes the spool; `halist` asks the hacheck on this machine.
  /// - Parameters:
  ///   - environment: `SUDO_USER` and `SSH_USER` tell who starts a downtime.
  ///   - isTerminal: whether a person reads the output: `hashowdowned` then prints times in words.
  @LoopActor func run(environment: [String: String], isTerminal: Bool) async -> Outcome {
    let now = LoopClock.system.unixTime
    do {
      switch action {
      case .up: return try up()
      case .down:
        let outcome = try down(by: DowntimeCommand.person(environment), now: now)
        return outcome.exitCode == 0 && warnsOfStrangers ? await warning(of: await strangers()) : outcome
      case .status: return try status(now: now, inWords: isTerminal)
      case .statusDowned: return try showDowned(now: now, inWords: isTerminal)
      case .list: return try await list()
      }
    } catch {
      return Outcome(exitCode: 1, errorOutput: "\(name): \(error)\n")
    }
  }

  private let name: String
  private let action: Action
  private let directory: SpoolDirectory
  private let services: [String]
  private let host: String?
  private let port: Int?
  private let reason: String
  private let expiration: Double?
  private let agentPorts: [Int]
  private let wantsJSON: Bool

  /// Who must say why, in person: a file of account names with comments.
  private static let nonhumansPath = "/etc/nonhumans"
  private static let listDeadline = Duration.seconds(3)
  /// Upstream's port of hacheck, and the package's.
  private static let usualPorts = [3333, 6666]

  private static func syntax(of action: Action) -> CommandSyntax {
    let takesServices = action != .statusDowned && action != .list
    return CommandSyntax(
      name: action.command, abstract: action.summary, operands: takesServices ? "<service> ..." : "",
      options: [
        .init(long: "spool-root", value: .text, help: "The spool of downtimes. (default: /var/spool/hacheck)"),
        .init(
          long: "action", short: "a", value: .choice(Action.allCases.map(\.rawValue)),
          help: "The action. (default: \(action.rawValue))"),
        .init(long: "reason", short: "r", value: .text, help: "The reason of the downtime. (default: the user)"),
        .init(
          long: "expiration", short: "e", value: .text,
          help: "The end of the downtime: seconds since 1970, the next HH:MM, or ISO 8601. (default: none)"),
        .init(
          long: "for", value: .text, help: "The length of the downtime: 90s, 15m, 2h, 1d, 1h30m. (default: no end)"),
        .init(
          long: "service-port", short: "P", value: .integer, help: "The port of the instance. (default: all ports)"),
        .init(long: "service-host", short: "H", value: .text, help: "The address of the instance; needs -P."),
        .init(long: "port", short: "p", value: .text, help: "The port of hacheck. (default: 3333, else 6666)"),
        .init(long: "json", help: "Print JSON; for hastatus, hashowdowned and halist."),
      ])
  }

  init(_ name: String, arguments: [String]) throws(CommandUsage) {
    let usual = Action.allCases.first { $0.command == name } ?? .list
    let options = try DowntimeCommand.syntax(of: usual).parse(arguments)
    self.name = name
    action = options["action"].flatMap(Action.init) ?? usual
    directory = SpoolDirectory(root: options["spool-root"] ?? "/var/spool/hacheck")
    warnsOfStrangers = options["spool-root"] == nil
    services = options.arguments
    host = options["service-host"].flatMap { $0.isEmpty ? nil : $0 }
    port = options.integer("service-port")
    reason = options["reason"] ?? ""
    wantsJSON = options["json"] != nil
    expiration = try DowntimeCommand.end(of: options, now: Double(time(nil)))
    let ports = try options["port"].map { text throws(CommandUsage) -> [Int] in
      guard let port = Int(text), (1...65535).contains(port) else { throw .wrong("option -p: \(text) is not a port") }
      return [port]
    }
    agentPorts = ports ?? DowntimeCommand.usualPorts
    try validate()
  }

  private func validate() throws(CommandUsage) {
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
    if let port, !(0...65535).contains(port) { throw .wrong("option -P: \(port) is not a port") }
    if let name = services.map({ scope($0).description }).first(where: { !SpoolDirectory.isName($0) }) {
      throw .wrong("\(name.quoted) cannot have a downtime: it is not a file name of the spool")
    }
  }

  private func scope(_ service: String) -> SpoolScope { SpoolScope(service: service, port: port, host: host) }

  // MARK: haup, hadown

  func up() throws -> Outcome {
    try directory.prepare(forWriting: true)
    for service in services {
      let name = scope(service).description
      try directory.up(name)
      try directory.sync(name)
    }
    return Outcome()
  }

  func down(by person: String, now: Double) throws -> Outcome {
    let reason = reason.isEmpty ? person : reason
    if self.reason.isEmpty, DowntimeCommand.nonhumans().contains(person) {
      return Outcome(exitCode: 1, output: "please use --reason option to tell us who you REALLY are\n")
    }
    if let expiration, expiration <= now {
      let end = expiration.dateInWords ?? "\(expiration)"
      return Outcome(exitCode: 1, errorOutput: "\(name): \(end) is past: nothing is drained\n")
    }
    try directory.prepare(forWriting: true)
    for service in services {
      let name = scope(service).description
      try directory.down(name, reason: reason, expiration: expiration, creation: nil, setter: person, now: now)
      try directory.sync(name)
    }
    return Outcome()
  }

  /// The services that neither hacheck nor nerve knows; none if neither answers.
  private func strangers() async -> [String] {
    let seen = try? await seen(at: "/recent?threshold=4000000000").map(\.name)
    let report = try? await StatusServer.report(of: "nerve", configuration: "/etc/nerve/nerve.conf.json")
    guard seen != nil || report != nil else { return [] }
    let registered = (report?["services"]?.array ?? []).compactMap { $0["name"]?.string }
    return services.filter { service in
      service != "all" && seen?.contains(service) != true && !registered.contains { StatusView.fits($0, word: service) }
    }
  }

  private func warning(of strangers: [String]) async -> Outcome {
    if strangers.isEmpty { return Outcome() }
    let names = strangers.map(\.quoted).joined(separator: ", ")
    let text = "warning: neither hacheck nor nerve on this host knows \(names); the downtime is set all the same"
    return Outcome(exitCode: 3, errorOutput: "\(name): \(text)\n")
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
    let names = lines.map { line in line.prefix { $0 != "#" }.split { $0 == " " || $0 == "\t" }.joined(separator: " ") }
    return Set(names.filter { !$0.isEmpty })
  }

  // MARK: hastatus, hashowdowned

  func status(now: Double, inWords: Bool = false) throws -> Outcome {
    try directory.prepare(forWriting: false)
    let found = try services.map { ($0, try activeDowntime($0, now: now)) }
    let exitCode: Int32 = found.contains { $0.1 != nil } ? 1 : 0
    let output =
      wantsJSON
      ? DowntimeCommand.json(found.map { DowntimeCommand.jsonStatus(of: $0.0, downtime: $0.1?.downtime) })
      : found.map { service, found in
        guard let (downtime, hint) = found else { return "UP\t\(service)\n" }
        let by = inWords ? DowntimeCommand.setter(of: downtime) : ""
        return DowntimeCommand.line(downtime, shown: DowntimeCommand.shown(scope(service)), hint: hint + by)
      }.joined()
    return Outcome(exitCode: exitCode, output: output)
  }

  /// The instance's own downtime, else the service's, else the one on everything, with the words that tell.
  private func activeDowntime(_ service: String, now: Double) throws(FileError) -> (downtime: Downtime, hint: String)? {
    let scopes = [scope(service), SpoolScope(service: service, port: nil), .everything]
    for scope in scopes {
      guard let downtime = try downtime(of: scope.description, now: now) else { continue }
      if scope == scopes[0] { return (downtime, "") }
      return (downtime, scope == .everything ? " (all services are down)" : " (all of \(service) is down)")
    }
    return nil
  }

  func showDowned(now: Double, inWords: Bool) throws -> Outcome {
    try directory.prepare(forWriting: false)
    let downtimes = try directory.names().compactMap { try downtime(of: $0, now: now) }
    if wantsJSON { return Outcome(output: DowntimeCommand.json(downtimes.map(DowntimeCommand.json(of:)))) }
    let lines = downtimes.map { downtime in
      let end = inWords ? DowntimeCommand.endInWords(downtime, now: now) : DowntimeCommand.end(downtime)
      let by = inWords ? DowntimeCommand.setter(of: downtime) : ""
      return "DOWN\t\(end)\t\(DowntimeCommand.shown(downtime.scope))\t\(downtime.reason.oneLine(limit: .max))\(by)\n"
    }
    return Outcome(output: lines.joined())
  }

  private func downtime(of name: String, now: Double) throws(FileError) -> Downtime? {
    let found: Downtime?
    do { found = try directory.read(name) } catch { found = Downtime(unread: name, because: error) }
    guard let downtime = found else { return nil }
    guard downtime.hasExpired(at: now) else { return downtime }
    try directory.removeExpired(name, now: now)
    return nil
  }

  private static func shown(_ scope: SpoolScope) -> String {
    guard case .instance(let service, let host, let port) = scope else { return scope.description }
    return "\(service):\(host ?? ""):\(port)"
  }

  private static func line(_ downtime: Downtime, shown: String, hint: String) -> String {
    "DOWN\t\(end(downtime))\t\(shown)\t\(downtime.reason.oneLine(limit: .max))\(hint)\n"
  }

  /// Who set a downtime, for people: programs read the reason up to the line's end.
  private static func setter(of downtime: Downtime) -> String {
    guard let setter = downtime.setter, setter != downtime.reason else { return "" }
    return " (by \(setter.oneLine(limit: 100)))"
  }

  private static func end(_ downtime: Downtime) -> String { downtime.expiration?.sixDecimals ?? "inf" }

  private static func endInWords(_ downtime: Downtime, now: Double) -> String {
    downtime.expiration.map { "\(($0 - now).lengthInWords) left" } ?? "no end"
  }

  // MARK: halist

  func list() async throws -> Outcome {
    let listed = try await seen(at: "/recent").sorted { $0.name < $1.name }
    if wantsJSON {
      return Outcome(output: DowntimeCommand.json(listed.map { DowntimeCommand.jsonSeen($0.name, last: $0.last) }))
    }
    let lines = listed.map { name, last in
      name.oneLine(limit: .max) + (last.map { " last_response=\($0)\n" } ?? "\n")
    }
    return Outcome(output: lines.joined())
  }

  /// Asks the first hacheck that answers for the services that it has checked.
  private func seen(at target: String) async throws -> [(name: String, last: JSONValue?)] {
    var failure: (any Error)?
    for port in agentPorts {
      let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: port), target: target)
      let limits = HTTPClientLimits(maxBodyBytes: 64 << 20)
      let response: HTTPResponse
      do {
        response = try await HTTPClient.send(request, deadline: DowntimeCommand.listDeadline, limits: limits)
      } catch {
        failure = failure ?? error
        continue
      }
      guard response.status == 200, let answer = JSONValue(response.body, dialect: .python),
        case .array(let items) = answer["seen_services"]
      else { throw OperatorError("port \(port) answers, but not as hacheck does") }
      return items.compactMap(DowntimeCommand.listed)
    }
    throw failure ?? OperatorError("no port of hacheck is known")
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

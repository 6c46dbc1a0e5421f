/// `updown_service [-t TIMEOUT] [-w WAIT_TIME] [-x] SERVICE.NAMESPACE[:PORT] {up,down}`
struct UpdownArguments: Equatable {
  var service = ""
  var namespace = ""
  /// The port of the only instance; nil: all of this host.
  var port: Int?
  var isUp = true
  /// Seconds to wait for the state; nil: as the service's configuration says.
  var timeout: Int?
  /// Seconds to wait when the state is reached, for other hosts' proxies and for requests under way.
  var waitTime = 5
  var isWaitOnly = false

  /// The name, as `service.namespace`.
  var name: String { "\(service).\(namespace)" }
  /// The state as upstream names it.
  var state: String { isUp ? "up" : "down" }

  static let syntax = CommandSyntax(
    name: "updown_service", abstract: "Bring a service up or down on this host, and wait for the host's HAProxy.",
    operands: "<service.namespace[:port]> {up,down}",
    options: [
      .init(
        long: "timeout", short: "t", value: .integer,
        help: "Seconds to wait for the state. (default: updown_timeout_s of smartstack.yaml, else 300)"),
      .init(
        long: "wait-time", short: "w", value: .integer, help: "Seconds to wait once it is reached. (default: 5)"),
      .init(long: "wait-only", short: "x", help: "Wait for the state without starting or ending a downtime."),
    ])

  /// Upstream's complaint of a wrong command line, to the letter: its callers may look for it.
  static func complaint(_ problem: String) -> String {
    "usage: updown_service [-h] [-t TIMEOUT] [-w WAIT_TIME] [-x] service {up,down}\nupdown_service: error: \(problem)\n"
  }

  init(_ words: [String]) throws(CommandUsage) {
    let options = try UpdownArguments.syntax.parse(words)
    let names = ["service", "state"]
    let given = options.arguments
    if let service = given.first { try readService(service) }
    guard given.count >= names.count else {
      let missing = names[given.count...].joined(separator: ", ")
      throw .wrong("the following arguments are required: \(missing)")
    }
    guard ["up", "down"].contains(given[1]) else {
      throw .wrong("argument state: invalid choice: '\(given[1])' (choose from 'up', 'down')")
    }
    if given.count > names.count {
      throw .wrong("unrecognized arguments: \(given[names.count...].joined(separator: " "))")
    }
    isUp = given[1] == "up"
    timeout = options.integer("timeout")
    waitTime = options.integer("wait-time") ?? waitTime
    isWaitOnly = options["wait-only"] != nil
    for (option, seconds) in [("-t/--timeout", timeout ?? 0), ("-w/--wait-time", waitTime)] where seconds < 0 {
      throw .wrong("argument \(option): \(seconds) seconds are negative")
    }
  }

  private mutating func readService(_ word: String) throws(CommandUsage) {
    let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let names = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard names.count == 2, !names.contains(where: \.isEmpty), !names.contains(where: { $0.contains("/") }) else {
      throw .wrong("argument service: Namespace missing from service name")
    }
    (service, namespace) = (names[0], names[1])
    if parts.count == 1 { return }
    guard let number = Int(parts[1]), (1...65_535).contains(number) else {
      throw .wrong("argument service: Port is not a number")
    }
    port = number
  }
}

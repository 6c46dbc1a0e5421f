/// `updown_service [-t TIMEOUT] [-w WAIT_TIME] [-x] SERVICE.NAMESPACE[:PORT] {up,down}`
struct UpdownArguments: Equatable {
  enum State: String { case up, down }

  var service = ""
  var namespace = ""
  /// The one instance that is meant; nil: all of this host.
  var port: Int?
  var state = State.up
  /// Seconds; nil: what the service's configuration says.
  var timeout: Int?
  /// Seconds to wait when the state is reached, for other hosts' proxies and for requests under way.
  var waitTime = 5
  /// Only waits, marks nothing.
  var isWaitOnly = false

  /// `service.namespace`
  var name: String { "\(service).\(namespace)" }

  static let line = ToolLine(
    name: "updown_service", usage: "[-h] [-t TIMEOUT] [-w WAIT_TIME] [-x] service {up,down}",
    options: [
      CommandLineOptions.Option(
        "t", "timeout", .integer, "Most seconds to wait for the state; default: updown_timeout_s, else 300"),
      CommandLineOptions.Option("w", "wait-time", .integer, "Seconds to wait once it is reached; default: 5"),
      CommandLineOptions.Option("x", "wait-only", .flag, "Wait for the state, but mark nothing"),
    ])

  init(_ words: [String]) throws(ToolUsage) {
    let line = UpdownArguments.line
    let options = try line.read(words)
    let names = ["service", "state"]
    let given = options.arguments
    if let service = given.first { try readService(service) }
    guard given.count >= names.count else {
      let missing = names[given.count...].joined(separator: ", ")
      throw line.wrong("the following arguments are required: \(missing)")
    }
    guard let state = State(rawValue: given[1]) else {
      throw line.wrong("argument state: invalid choice: '\(given[1])' (choose from 'up', 'down')")
    }
    if given.count > names.count {
      throw line.wrong("unrecognized arguments: \(given[names.count...].joined(separator: " "))")
    }
    self.state = state
    timeout = options.integer("timeout")
    waitTime = options.integer("wait-time") ?? waitTime
    isWaitOnly = options["wait-only"] != nil
    for (option, seconds) in [("-t/--timeout", timeout ?? 0), ("-w/--wait-time", waitTime)] where seconds < 0 {
      throw line.wrong("argument \(option): \(seconds) seconds have passed already")
    }
  }

  private mutating func readService(_ word: String) throws(ToolUsage) {
    let parts = word.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    let names = parts[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
    guard names.count == 2, !names.contains(where: \.isEmpty), !names.contains(where: { $0.contains("/") }) else {
      throw UpdownArguments.line.wrong("argument service: Namespace missing from service name")
    }
    (service, namespace) = (names[0], names[1])
    if parts.count == 1 { return }
    guard let number = Int(parts[1]), (1...65_535).contains(number) else {
      throw UpdownArguments.line.wrong("argument service: Port is not a number")
    }
    port = number
  }
}

internal import SmartStack

/// The tasks of PaaSTA's schedulers that an agent's state lists.
struct MesosState: Equatable, Sendable {
  /// One executor with a running task.
  struct Executor: Equatable, Sendable {
    /// The task's id, `<application id>.<uuid>`.
    var id: String
    /// The first of its ports; nil when it has none.
    var port: Int?
    /// The scheduler that started it.
    var scheduler = TaskScheduler.marathon
    /// What is wrong with its ports.
    var problem: String?
  }

  /// In the state's order.
  var executors: [Executor] = []
  /// Tasks that are about to run: worth asking again soon.
  var isStarting = false

  private static let startingStates: Set = ["TASK_STAGING", "TASK_STARTING"]

  /// All that is read of a state; what finished tasks and statuses take would be ten times as much.
  private static let members: Set = [
    "id", "frameworks", "name", "executors", "tasks", "state", "queued_tasks", "resources", "ports", "get_state",
    "get_frameworks", "framework_info", "value", "get_executors", "executor_info", "executor_id", "get_tasks",
    "launched_tasks", "framework_id", "task_id", "ranges", "range", "begin",
  ]

  /// Reads what `/state` or, through the operator API, `GET_STATE` answers; nil for anything else. An agent cuts names
  /// of frameworks and executors in the middle of a character, so bytes that are not UTF-8 are replaced.
  init?(_ bytes: [UInt8]) {
    guard let root = JSONValue(bytes, dialect: .repairing, keeping: MesosState.members) else { return nil }
    if let state = root["get_state"] {
      guard state["get_frameworks"]?.object != nil, state["get_tasks"]?.object != nil else { return nil }
      readOperatorState(state)
    } else {
      guard root["id"]?.string?.isEmpty == false, let frameworks = root["frameworks"]?.array else { return nil }
      for framework in frameworks {
        guard let scheduler = framework["name"]?.string.flatMap(TaskScheduler.init(framework:)) else { continue }
        readFramework(framework, of: scheduler)
      }
    }
  }

  // MARK: /state

  private mutating func readFramework(_ framework: JSONValue, of scheduler: TaskScheduler) {
    for executor in framework["executors"]?.array ?? [] {
      let states = (executor["tasks"]?.array ?? []).compactMap { $0["state"]?.string }
      if !MesosState.startingStates.isDisjoint(with: states) || executor["queued_tasks"]?.array?.isEmpty == false {
        isStarting = true
      }
      guard states.contains("TASK_RUNNING"), let id = executor["id"]?.string else { continue }
      let (port, problem) = MesosState.port(of: executor["resources"])
      executors.append(Executor(id: id, port: port, scheduler: scheduler, problem: problem))
    }
  }

  private static func port(of resources: JSONValue?) -> (port: Int?, problem: String?) {
    guard let resources else { return (nil, nil) }
    guard let members = resources.object else { return (nil, "its resources are not an object") }
    guard let ports = members["ports"] else { return (nil, nil) }
    if let port = ports.string.flatMap(firstNumber), (1...65_535).contains(port) { return (port, nil) }
    return (nil, "expected ports such as [31000-31000], found \(ports.text().oneLine(limit: 60))")
  }

  /// `[31062-31062, 31900-31900]` → 31062
  static func firstNumber(_ text: String) -> Int? {
    let digits = text.utf8.drop { !$0.isDigit }.prefix { $0.isDigit }
    return Int(String(decoding: Array(digits), as: UTF8.self))
  }

  // MARK: Operator API

  private mutating func readOperatorState(_ state: JSONValue) {
    let frameworks = state["get_frameworks"]?["frameworks"]?.array ?? []
    var schedulers: [String: TaskScheduler] = [:]
    for info in frameworks.compactMap({ $0["framework_info"] }) {
      guard let id = info["id"]?["value"]?.string, let name = info["name"]?.string else { continue }
      schedulers[id] = TaskScheduler(framework: name)
    }
    var ports: [String: Int] = [:]
    for executor in state["get_executors"]?["executors"]?.array ?? [] {
      let info = executor["executor_info"]
      guard let id = info?["executor_id"]?["value"]?.string else { continue }
      ports[id] = MesosState.firstPort(info?["resources"])
    }
    var seen: Set<String> = []
    for task in state["get_tasks"]?["launched_tasks"]?.array ?? [] {
      guard let framework = task["framework_id"]?["value"]?.string, let scheduler = schedulers[framework] else {
        continue
      }
      let taskState = task["state"]?.string ?? ""
      if MesosState.startingStates.contains(taskState) { isStarting = true }
      // A task that names no executor has one of its own, called like the task.
      guard taskState == "TASK_RUNNING",
        let id = task["executor_id"]?["value"]?.string ?? task["task_id"]?["value"]?.string,
        seen.insert(id).inserted
      else { continue }
      let port = MesosState.firstPort(task["resources"]) ?? ports[id]
      executors.append(Executor(id: id, port: port, scheduler: scheduler))
    }
  }

  private static func firstPort(_ resources: JSONValue?) -> Int? {
    for resource in resources?.array ?? [] where resource["name"]?.string == "ports" {
      if let begin = resource["ranges"]?["range"]?.array?.first?["begin"]?.int { return begin }
    }
    return nil
  }
}

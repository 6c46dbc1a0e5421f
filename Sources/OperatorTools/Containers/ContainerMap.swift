internal import SmartStack

/// Which task each address belongs to.
struct ContainerMap: Equatable {
  /// `ADDRESS TASK`, in the answer's order.
  private(set) var lines: [String] = []
  /// Containers whose address or task cannot stand in a line, with the reason.
  private(set) var skipped: [String] = []

  /// Docker's running containers: those of its own network that Mesos or PaaSTA started.
  /// - Parameter containers: the answer to `/containers/json`.
  /// - Returns: nil for anything but a list.
  init?(containers: JSONValue?) {
    guard let list = containers?.array else { return nil }
    for container in list {
      guard let network = container["NetworkSettings"]?["Networks"]?["bridge"], let labels = container["Labels"]
      else { continue }
      let task =
        labels["MESOS_TASK_ID"]?.string
        ?? ContainerMap.task(service: labels["paasta_service"], instance: labels["paasta_instance"])
      add(task, at: network["IPAddress"], of: "container \(container["Id"]?.string ?? "?")")
    }
  }

  /// A kubelet's pods that PaaSTA started and that have not failed.
  /// - Parameter pods: the answer to `/pods/`.
  /// - Returns: nil for anything but a list.
  init?(pods: JSONValue?) {
    guard let list = pods?["items"]?.array else { return nil }
    for pod in list {
      let labels = pod["metadata"]?["labels"]
      let task = ContainerMap.task(
        service: labels?["paasta.yelp.com/service"], instance: labels?["paasta.yelp.com/instance"])
      guard pod["status"]?["phase"]?.string != "Failed", let address = pod["status"]?["podIP"] else { continue }
      add(task, at: address, of: "pod \(pod["metadata"]?["name"]?.string ?? "?")")
    }
  }

  /// In the form of Mesos's task ids.
  private static func task(service: JSONValue?, instance: JSONValue?) -> String? {
    guard let service = service?.string, let instance = instance?.string else { return nil }
    return "\(service).\(instance)".split(separator: "_", omittingEmptySubsequences: false).joined(separator: "--")
  }

  private mutating func add(_ task: String?, at address: JSONValue?, of place: String) {
    guard let task else { return }
    let address = address?.string ?? ""
    if !ServerText.isAddress(address) {
      skipped.append("\(place.oneLine()): \(address.quoted) is not an address")
    } else if task.isEmpty || !task.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }) {
      skipped.append("\(place.oneLine()): its task \(task.quoted) is empty or holds blanks")
    } else {
      lines.append("\(address) \(task)")
    }
  }
}

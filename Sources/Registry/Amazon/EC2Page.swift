/// One page of an answer to DescribeInstances.
struct EC2Page: Equatable, Sendable {
  /// The fields that discovery reads; one that is not there is empty.
  struct Instance: Equatable, Sendable {
    var id = ""
    /// `privateDnsName`, the name of the server.
    var name = ""
    /// `privateIpAddress`, the server's address.
    var address = ""
    var state = ""
  }

  /// The running ones, in the answer's order.
  var instances: [Instance] = []
  /// Of the page to follow; nil: this is the last one.
  var nextToken: String?

  /// - Throws: ``RegistryError`` for anything but a whole answer.
  init(_ bytes: [UInt8]) throws(RegistryError) {
    let root = ["DescribeInstancesResponse"]
    let item = root + ["reservationSet", "item", "instancesSet", "item"]
    var current: Instance?
    var found: [Instance] = []
    var token: String?
    var hasRoot = false
    let isWhole = EC2Page.readElements(of: bytes) { isEnd, path, text in
      switch (isEnd, path.count) {
      case (false, 1): hasRoot = path == root
      case (false, item.count) where path == item: current = Instance()
      case (true, item.count) where path == item:
        if let instance = current, instance.state == "running" { found.append(instance) }
        current = nil
      case (true, item.count + 1) where path.dropLast() == item[...]:
        switch path.last {
        case "instanceId": current?.id = text
        case "privateDnsName": current?.name = text
        case "privateIpAddress": current?.address = text
        default: break
        }
      case (true, item.count + 2) where path == item + ["instanceState", "name"]: current?.state = text
      case (true, 2) where path == root + ["nextToken"]: token = text.isEmpty ? nil : text
      default: break
      }
    }
    guard isWhole, hasRoot else { throw .unexpected("\(bytes.count) bytes that are not a list of instances") }
    (instances, nextToken) = (found, token)
  }
}

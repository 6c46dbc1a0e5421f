internal import Configure
internal import YAMLConfig

extension ServiceDirectory {
  /// How many instances of a service are to be registered under a namespace: the `instances` (1 by default) of those in
  /// `marathon-<cluster>.yaml`, of autoscaled ones the least (`min_instances`).
  func expectedInstances(_ name: String, cluster: String) throws(ConfigError) -> Int {
    let parts = name.split(separator: ".").map(String.init)
    guard parts.count == 2 else { return 0 }
    let file = "marathon-\(cluster).yaml"
    guard let root = try document(file, of: parts[0]) else {
      throw ConfigError(file: self.file(file, of: parts[0]), problem: "there is no such file")
    }
    var count = 0
    // Names with an underscore in front are templates.
    for entry in try root.entries() where !entry.name.hasPrefix("_") && !entry.value.isNull {
      let instance = try self.instance(entry.name, of: parts[0], cluster: cluster)
      guard instance?.registrations.contains(where: { $0.description == name }) == true else { continue }
      let range = 0...1_000_000
      guard let number = entry.value["min_instances"] ?? entry.value["instances"] else {
        count += 1
        continue
      }
      count += try number.int(in: range)
    }
    return count
  }
}

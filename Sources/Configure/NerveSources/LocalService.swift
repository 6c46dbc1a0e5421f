internal import SmartStack
internal import YAMLConfig

/// An instance of a service that runs on this host, and what is to be registered of it.
struct LocalService: Sendable {
  var namespace: SmartStackNamespace
  var instance: SmartStackNamespace.Instance
  /// Whether the host always has it, and no scheduler started it.
  var isStatic = false
  /// The entry of the list that upstream's tool prints.
  var values: JSONObject

  /// The full name, `service.namespace`.
  var name: String { namespace.name }
}

/// The services that one or several sources list.
struct LocalServices: Sendable {
  var services: [LocalService] = []
  /// What is not registered as it should be, and mistakes that cost nothing here.
  var remarks: [SkippedService] = []

  /// The list as upstream's tool prints it.
  var list: JSONValue { .array(services.map { [.string($0.name), .object($0.values)] }) }

  /// Adds a service, unless a mistake makes nerve skip it.
  mutating func add(_ service: LocalService) {
    let (isSkipped, remarks) = SkippedService.judge(service.namespace, for: .nerve, port: service.instance.port)
    self.remarks += remarks
    if !isSkipped { services.append(service) }
  }

  static func += (all: inout LocalServices, more: LocalServices) {
    all.services += more.services
    all.remarks += more.remarks
  }
}

extension LocalServices {
  /// Reads the list that a program prints or a file holds: `[[name, {…}]…]`.
  /// - Throws: when it is not a list at all.
  init(listed bytes: [UInt8], by source: ServicesSource, types: [String]?) throws(SourceFailure) {
    let limits = YAMLLimits(bytes: SourceReader.longestAnswer)
    guard let root = YAMLDocument.json(bytes, file: source.fileName, dialect: .python, limits: limits) else {
      throw SourceFailure(source: source, problem: "what it gives is not JSON; nothing is changed")
    }
    guard case .sequence(let entries) = root.value else {
      throw SourceFailure(source: source, problem: "what it gives is JSON, but no list of services; nothing is changed")
    }
    for (index, entry) in entries.enumerated() {
      let pair = try? entry.items()
      let name = pair?.first.flatMap {
        if case .scalar(let name) = $0.value, name.kind == .text { name.text } else { nil }
      }
      if let pair, pair.count == 2, let name, case .mapping = pair[1].value {
        let namespace = SmartStackReader.read(pair[1], name: name, form: .list, types: types)
        add(
          LocalService(
            namespace: namespace, instance: namespace.instance, values: pair[1].jsonValue().object ?? [:]))
      } else {
        remarks.append(SkippedService(name: name, problems: ["entry \(index) of \(source) is not [name, {…}]"]))
      }
    }
  }
}

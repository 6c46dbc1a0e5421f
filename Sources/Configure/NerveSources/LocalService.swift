internal import SmartStack

/// An instance of a service that runs on this host, with what is registered of it.
struct LocalService: Sendable {
  var namespace: SmartStackNamespace
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
    let (isSkipped, remarks) = SkippedService.judge(
      service.namespace, for: .nerve, port: service.namespace.instance.port)
    self.remarks += remarks
    if !isSkipped { services.append(service) }
  }

  static func += (all: inout LocalServices, more: LocalServices) {
    all.services += more.services
    all.remarks += more.remarks
  }
}

internal import SmartStack

/// A namespace of a service that runs on this host.
struct LocalService: Equatable, Sendable {
  /// `service.namespace`
  var name: String
  /// What `smartstack.yaml` says of it, and `port`, `paasta_instance`, `deploy_group`… of what runs here.
  var values: JSONObject
  /// Whether it is one that this host always has, and no task.
  var isStatic = false

  /// The entry of the list that the original's tool prints.
  var entry: JSONValue { [.string(name), .object(values)] }
}

/// Something of this host that is not registered as it should be, and why.
struct LeftOut: Hashable, Sendable, CustomStringConvertible {
  /// `service.namespace`, or the service when it is not known which of its namespaces; nil if not even that.
  var service: String?
  /// Its port, if that is known.
  var port: Int?
  /// Whether it may be registered under another service's name: then the port alone says which registrations are its.
  var isUnderAnyName = false
  /// Whether it is registered all the same, with the labels it has.
  var isRegistered = false
  /// File and place, or the source.
  var problem: String

  /// One line for the operator.
  var description: String {
    guard let service else { return problem }
    return isRegistered ? "\(service) gets no new labels: \(problem)" : "\(service) is left out: \(problem)"
  }
}

/// What one or several sources list.
struct LocalServices: Equatable, Sendable {
  var services: [LocalService] = []
  var leftOut: [LeftOut] = []

  /// The list as the original's tool prints it.
  var list: JSONValue { .array(services.map(\.entry)) }

  static func += (all: inout LocalServices, more: LocalServices) {
    all.services += more.services
    all.leftOut += more.leftOut
  }
}

extension LocalServices {
  /// Reads the list that a program prints or a file holds: `[[name, {…}]…]`.
  /// - Throws: when it is no list at all.
  init(listed bytes: [UInt8], by source: ServicesSource) throws(SourceFailure) {
    guard let value = JSONValue(bytes, dialect: .python) else {
      throw SourceFailure(source: source, problem: "what it gives is not JSON; nothing is changed")
    }
    guard let entries = value.array else {
      throw SourceFailure(source: source, problem: "what it gives is JSON, but no list of services; nothing is changed")
    }
    for (index, entry) in entries.enumerated() {
      if let pair = entry.array, pair.count == 2, let name = pair[0].string, let values = pair[1].object {
        services.append(LocalService(name: name, values: values))
      } else {
        leftOut.append(
          LeftOut(service: entry.array?.first?.string, problem: "entry \(index) of \(source) is not [name, {…}]"))
      }
    }
  }
}

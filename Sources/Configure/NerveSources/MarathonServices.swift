internal import SmartStack
internal import YAMLConfig

/// Makes services of the tasks that Mesos runs here, with what soa-configs say of them.
struct MarathonServices {
  var services: ServiceDirectory
  /// The location types, most general first; nil leaves types unjudged.
  var types: [String]?
  /// PaaSTA's name for the cluster this host is in.
  var cluster: String
  /// What health checks are sent to: this host's address.
  var checkAddress: String

  func local(_ state: MesosState) -> LocalServices {
    var all = LocalServices()
    for executor in state.executors { add(executor, to: &all) }
    return all
  }

  private func add(_ executor: MesosState.Executor, to all: inout LocalServices) {
    guard let job = MarathonServices.job(executor.id) else {
      all.remarks.append(
        SkippedService(port: executor.port, problems: ["Mesos executor '\(executor.id)' is none of Marathon's naming"]))
      return
    }
    do throws(ConfigError) {
      guard let instance = try services.instance(job.instance, of: job.service, cluster: cluster) else { return }
      for registration in instance.registrations {
        do throws(ConfigError) {
          guard let service = try self.service(registration, of: instance, job: job.instance, port: executor.port)
          else { continue }
          all.add(service)
        } catch {
          all.remarks.append(SkippedService(name: "\(registration)", port: executor.port, problems: ["\(error)"]))
        }
      }
    } catch {
      // Which of the service's namespaces it would be is not known.
      all.remarks.append(
        SkippedService(name: job.service, port: executor.port, isUnderAnyName: true, problems: ["\(error)"]))
    }
  }

  /// nil for what clients do not reach through a proxy.
  private func service(
    _ registration: ServiceInstance.Registration, of instance: ServiceInstance, job: String, port: Int?
  ) throws(ConfigError) -> LocalService? {
    let name = (registration.namespace, registration.service)
    var namespace = try services.namespace(name.0, of: name.1, types: types)
    guard namespace.isInSmartStack else { return nil }
    var values = namespace.listed(try services.node(ofNamespace: name.0, of: name.1))
    if !namespace.health.headers.contains(where: { $0.name.lowercased() == "x-nerve-check-ip" }) {
      namespace.health.headers.append(
        SmartStackNamespace.Header(name: "X-Nerve-Check-IP", value: checkAddress, json: .string(checkAddress)))
    }
    var labels: JSONObject = [SmartStackKey.instance.rawValue: .string(job)]
    if !instance.deployGroup.isEmpty { labels[SmartStackKey.deployGroup.rawValue] = .string(instance.deployGroup) }
    values[SmartStackKey.port.rawValue] = port.map { .int($0) } ?? .null
    values[SmartStackKey.instance.rawValue] = .string(job)
    values[SmartStackKey.deployGroup.rawValue] = .string(instance.deployGroup)
    values[SmartStackKey.checkHeaders.rawValue] = .object(namespace.health.headersJSON)
    return LocalService(
      namespace: namespace, instance: SmartStackNamespace.Instance(port: port, labels: labels), values: values)
  }

  /// `service--three.canary.git1.config2.<uuid>` → service_three, canary
  static func job(_ executorID: String) -> (service: String, instance: String)? {
    guard let dot = executorID.lastIndex(of: ".") else { return nil }
    let name = replacingDashes(executorID[..<dot])
    guard let registration = ServiceInstance.Registration(name) else { return nil }
    return (registration.service, registration.namespace)
  }

  /// Marathon has no underscores in names; PaaSTA writes them as two dashes.
  private static func replacingDashes(_ text: Substring) -> String {
    let (dash, underscore) = (UInt8(ascii: "-"), UInt8(ascii: "_"))
    var out: [UInt8] = []
    out.reserveCapacity(text.utf8.count)
    var isHalf = false
    for byte in text.utf8 {
      if isHalf, byte == dash { out[out.count - 1] = underscore } else { out.append(byte) }
      isHalf = byte == dash && !isHalf
    }
    return String(decoding: out, as: UTF8.self)
  }
}

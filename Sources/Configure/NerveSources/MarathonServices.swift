internal import SmartStack
internal import YAMLConfig

/// Makes services of the tasks that Mesos runs here, with what soa-configs say of them.
struct MarathonServices {
  var services: ServiceDirectory
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
      all.leftOut.append(
        LeftOut(port: executor.port, problem: "Mesos executor '\(executor.id)' is none of Marathon's naming"))
      return
    }
    do throws(ConfigError) {
      guard let instance = try services.instance(job.instance, of: job.service, cluster: cluster) else { return }
      for registration in instance.registrations {
        do throws(ConfigError) {
          guard let service = try self.service(registration, of: instance, job: job.instance, executor.port) else {
            continue
          }
          all.services.append(service)
        } catch {
          all.leftOut.append(LeftOut(service: "\(registration)", port: executor.port, problem: "\(error)"))
        }
      }
    } catch {
      // Which of the service's namespaces it would be is not known.
      all.leftOut.append(
        LeftOut(service: job.service, port: executor.port, isUnderAnyName: true, problem: "\(error)"))
    }
  }

  /// nil for what clients do not reach through a proxy.
  private func service(
    _ registration: ServiceInstance.Registration, of instance: ServiceInstance, job: String, _ port: Int?
  ) throws(ConfigError) -> LocalService? {
    let namespace = try services.namespace(registration.namespace, of: registration.service)
    guard namespace.isInSmartStack else { return nil }
    var values = namespace.values
    values["port"] = port.map { .int($0) } ?? .null
    values["paasta_instance"] = .string(job)
    values["deploy_group"] = .string(instance.deployGroup)
    var headers = values["extra_healthcheck_headers"]?.object ?? [:]
    if !headers.keys.contains(where: { $0.lowercased() == "x-nerve-check-ip" }) {
      headers["X-Nerve-Check-IP"] = .string(checkAddress)
    }
    // What is no mapping is named when the registration is made.
    if values["extra_healthcheck_headers"].map({ $0.object != nil || $0.isNull }) ?? true {
      values["extra_healthcheck_headers"] = .object(headers)
    }
    return LocalService(name: "\(registration)", values: values)
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

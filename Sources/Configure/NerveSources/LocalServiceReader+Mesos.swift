internal import SmartStack
internal import YAMLConfig

extension LocalServiceReader {
  /// The services of the tasks that Mesos runs here.
  /// - Parameters:
  ///   - cluster: PaaSTA's name for the cluster this host is in.
  ///   - checkAddress: what health checks are sent to: this host's address.
  func services(of state: MesosState, cluster: String, checkAddress: String) -> LocalServices {
    var all = LocalServices()
    for executor in state.executors { add(executor, cluster: cluster, checkAddress: checkAddress, to: &all) }
    return all
  }

  private func add(
    _ executor: MesosState.Executor, cluster: String, checkAddress: String, to all: inout LocalServices
  ) {
    // Marathon runs programs that are not PaaSTA's, too.
    guard let job = LocalServiceReader.job(executor.id, scheduler: executor.scheduler) else { return }
    do throws(ConfigError) {
      let instance = try services.instance(
        job.instance, of: job.service, cluster: cluster, scheduler: executor.scheduler)
      guard let instance else { return }
      for registration in instance.registrations {
        do throws(ConfigError) {
          guard var service = try self.service(registration) else { continue }
          if let problem = executor.problem {
            throw ConfigError(file: "Mesos executor \(executor.id)", problem: problem)
          }
          service.setPort(executor.port)
          if executor.scheduler == .marathon {
            service.setInstance(job.instance, deployGroup: instance.deployGroup, checkAddress: checkAddress)
          }
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

  /// nil for what is not registered: its namespace has no `proxy_port`.
  private func service(_ registration: ServiceRegistration) throws(ConfigError) -> LocalService? {
    let (service, name) = (registration.service, registration.namespace)
    let namespace = try services.namespace(name, of: service, types: types)
    guard namespace.isInSmartStack else { return nil }
    return LocalService(
      namespace: namespace, values: namespace.listed(try services.node(ofNamespace: name, of: service)))
  }

  /// `service--three.canary.git1.config2.<uuid>` → service_three, canary
  static func job(
    _ executorID: String, scheduler: TaskScheduler = .marathon
  ) -> (service: String, instance: String)? {
    guard let dot = executorID.lastIndex(of: ".") else { return nil }
    let written = executorID[..<dot]
    let name = scheduler == .marathon ? replacingDashes(written) : String(written)
    guard let registration = ServiceRegistration(name) else { return nil }
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

extension LocalService {
  fileprivate mutating func setPort(_ port: Int?) {
    namespace.instance.port = port
    values[SmartStackKey.port.rawValue] = port.map { .int($0) } ?? .null
  }

  /// What Marathon's tasks are registered with beyond their port.
  fileprivate mutating func setInstance(_ name: String, deployGroup: String?, checkAddress: String) {
    let headers = namespace.health.headers
    if !headers.contains(where: { $0.name.lowercased() == "x-nerve-check-ip" }) {
      namespace.health.headers.append(
        SmartStackNamespace.Header(name: "X-Nerve-Check-IP", value: checkAddress, json: .string(checkAddress)))
    }
    namespace.instance.labels[SmartStackKey.instance.rawValue] = .string(name)
    if let deployGroup, !deployGroup.isEmpty {
      namespace.instance.labels[SmartStackKey.deployGroup.rawValue] = .string(deployGroup)
    }
    values[SmartStackKey.instance.rawValue] = .string(name)
    values[SmartStackKey.deployGroup.rawValue] = deployGroup.map(JSONValue.string) ?? .null
    values[SmartStackKey.checkHeaders.rawValue] = .object(namespace.health.headersJSON)
  }
}

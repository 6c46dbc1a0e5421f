internal import Reactor
internal import SmartStack

/// Which local services Envoy has an ingress listener for.
struct EnvoyListeners: Equatable, Sendable {
  private var ports: [String: Int] = [:]
}

extension EnvoyListeners {
  /// Reads what Envoy's `/listeners?format=json` answers; listeners without a name or a port are skipped.
  init(_ bytes: [UInt8]) {
    for listener in JSONValue(bytes)?["listener_statuses"]?.array ?? [] {
      guard let name = listener["name"]?.string, let key = EnvoyListeners.key(name),
        let port = listener["local_address"]?["socket_address"]?["port_value"]?.double.flatMap(Int.init(exactly:)),
        (1...65_535).contains(port)
      else { continue }
      ports[key] = port
    }
  }

  /// The port of the listener for a service; a task of Mesos listens on every address.
  func port(of service: String, ip: String?, port: Int) -> Int? { ports["\(service).\(ip ?? "0.0.0.0").\(port)"] }

  /// `web.main.10.4.5.6.8888.ingress_listener` → `web.main.10.4.5.6.8888`; nil for other listeners.
  private static func key(_ name: String) -> String? {
    let suffix = ".ingress_listener"
    guard name.hasSuffix(suffix), !name.contains(where: \.isWhitespace) else { return nil }
    let key = String(name.dropLast(suffix.count))
    let parts = key.split(separator: ".", omittingEmptySubsequences: false)
    guard parts.count >= 7, parts.suffix(5).allSatisfy({ Int($0) != nil }), !parts[0].isEmpty else { return nil }
    return key
  }

  /// Asks Envoy's admin port on this host. Most hosts have none, so no answer means no listeners.
  @LoopActor static func ask(adminPort: Int) async throws(CancellationError) -> EnvoyListeners {
    let request = HTTPRequest(endpoint: .tcp(host: "127.0.0.1", port: adminPort), target: "/listeners?format=json")
    do {
      let answer = try await HTTPClient.send(
        request, deadline: .seconds(5), limits: HTTPClientLimits(maxBodyBytes: 16 << 20))
      return (200...299).contains(answer.status) ? EnvoyListeners(answer.body) : EnvoyListeners()
    } catch let error as CancellationError {
      throw error
    } catch {
      return EnvoyListeners()
    }
  }
}

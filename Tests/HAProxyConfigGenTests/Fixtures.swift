import HAProxyConfigGen
import SmartStack

/// Small pieces that most tests start from.
enum Fixture {
  static let now = 1_800_000_000

  static let settings: GeneratorSettings = {
    var settings = GeneratorSettings()
    settings.global = ["daemon", "maxconn 4096"]
    settings.defaults = [
      "mode http", "timeout connect 1s", "timeout client 5s", "timeout server 5s", "balance roundrobin",
    ]
    settings.serverOrderSeed = "1234"
    return settings
  }()

  static func backend(_ number: Int) -> Backend {
    Backend(name: "i-\(number)", host: "10.0.0.\(number)", port: 8000 + number, id: number)
  }

  static func service(_ name: String = "web.main", _ change: (inout ServiceSettings) -> Void = { _ in })
    -> ServiceSettings
  {
    var settings = ServiceSettings(service: name)
    settings.port = .number("3213")
    settings.serverOptions = "check inter 2s rise 3 fall 2"
    settings.backendOrder = .ascending
    change(&settings)
    return settings
  }

  /// A model of one service with these servers.
  static func model(
    _ backends: [Backend], settings: GeneratorSettings = settings, service: ServiceSettings = service(),
    memory: ServerMemory = ServerMemory()
  ) -> ProxyModel {
    var model = ProxyModel(settings: settings, services: [service], memory: memory)
    model.apply(ServiceSnapshot(service: service.service, backends: backends), now: now)
    return model
  }
}

extension ProxyModel {
  /// The lines of one section, without indentation.
  func lines(of header: String) -> [String] {
    var lines: [String] = []
    var isInside = false
    for line in render().text.split(separator: "\n") {
      if line.hasPrefix("\t") {
        if isInside { lines.append(String(line.dropFirst())) }
      } else {
        isInside = line == header
      }
    }
    return lines
  }
}

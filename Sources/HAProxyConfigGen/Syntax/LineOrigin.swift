/// Where a line of the file came from, so that a complaint about the line names what an operator can change.
public enum LineOrigin: Hashable, Sendable, CustomStringConvertible {
  /// Written by the generator itself: comment, blank line, `global`, `defaults`.
  case fixed
  /// A key of the agent's own configuration, such as `status_port`.
  case agent(String)
  /// Line `index` of `global`.
  case global(Int)
  /// Line `index` of `defaults`.
  case defaults(Int)
  /// Line `index` of an extra section; nil: its title.
  case extra(title: String, Int?)
  /// Line `index` of the top level's shared frontend; nil: its title.
  case sharedFrontend(Int?)
  /// Line `index` of one part of a service's section; nil: a line the generator adds there.
  case service(String, ServicePart, Int?)
  case server(service: String, name: String)

  /// The service the line belongs to, if it belongs to one.
  public var service: String? {
    switch self {
    case .service(let name, _, _), .server(let name, _): name
    case .fixed, .agent, .global, .defaults, .extra, .sharedFrontend: nil
    }
  }

  /// The part of the configuration that is skipped as one when the line cannot be skipped alone.
  public var unit: LineOrigin {
    switch self {
    case .service(let name, .sharedFrontend, _): .service(name, .sharedFrontend, nil)
    case .service(let name, _, _), .server(let name, _): .service(name, .section, nil)
    case .extra(let title, _): .extra(title: title, nil)
    case .sharedFrontend: .sharedFrontend(nil)
    case .fixed, .agent, .global, .defaults: self
    }
  }

  /// The key in the configuration, `services.web.haproxy.backend[2]`.
  public var description: String {
    switch self {
    case .fixed: "haproxy"
    case .agent(let key): key
    case .global(let index): "haproxy.global[\(index)]"
    case .defaults(let index): "haproxy.defaults[\(index)]"
    case .extra(let title, let index): "haproxy.extra_sections.\(title)" + (index.map { "[\($0)]" } ?? "")
    case .sharedFrontend(let index): "haproxy.shared_frontend" + (index.map { "[\($0)]" } ?? "")
    case .service(let name, let part, let index):
      "services.\(name).haproxy" + part.key + (index.map { "[\($0)]" } ?? "")
    case .server(let service, let name): "services.\(service): server \(name)"
    }
  }
}

/// A part of a service's `haproxy` section, and the section of the file it went to.
public enum ServicePart: Hashable, Sendable {
  case frontend, backend, listenInFrontend, listenInBackend, sharedFrontend
  case section
  /// The key `port`, with the address and the options that stand beside it on the `bind` line.
  case port
  case registry
  /// The key `server_options` of the section.
  case serverOptions

  var key: String {
    switch self {
    case .frontend: ".frontend"
    case .backend: ".backend"
    case .listenInFrontend, .listenInBackend: ".listen"
    case .sharedFrontend: ".shared_frontend"
    case .section: ""
    case .port: ".port"
    case .serverOptions: ".server_options"
    case .registry: ", section of the registry"
    }
  }
}

/// One line of a section, without indentation, and where it came from.
struct ConfigLine: Hashable, Sendable {
  var text: String
  var origin: LineOrigin
}

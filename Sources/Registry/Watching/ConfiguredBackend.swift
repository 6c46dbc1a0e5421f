public import SmartStack
public import YAMLConfig

extension Backend {
  /// Decodes one server as a configuration file has it.
  /// - Parameters:
  ///   - port: decoded by the caller, who knows whether it may be absent.
  ///   - acceptsHost: hosts besides addresses and host names.
  public init(
    configured server: ConfigSection, port: Int, acceptsHost: (String) -> Bool = { _ in false }
  ) throws(ConfigError) {
    self.init(name: try server.optionalString("name"), host: "", port: port)
    let host = try server.string("host")
    self.host = acceptsHost(host) ? host : try server.host("host")
    id = try server.optionalInt("id")
    weight = try server.optionalInt("weight", in: 0...Int.max)
    haproxyServerOptions = try server.optionalString("haproxy_server_options")
    try checkText(server)
    haproxyServerID = try server.optionalInt("haproxy_server_id", in: 1...Int(Int32.max))
    if server.node("labels") != nil {
      var labels = Labels()
      for entry in try server.entries("labels") { labels[entry.name] = LabelValue(configured: entry.value) }
      self.labels = labels
    }
  }

  /// The rules that registrations are held to.
  private func checkText(_ server: ConfigSection) throws(ConfigError) {
    if let name, !name.isEmpty, !ServerText.isName(name) {
      throw server.error(at: "name", "\(JSONText.quoted(name)) is not a server name: letters, digits and -_.: only")
    }
    if let options = haproxyServerOptions, let trouble = ServerText.troubleWithOptions(options) {
      throw server.error(at: "haproxy_server_options", trouble)
    }
  }
}

extension LabelValue {
  /// Decodes a label's value: a text, or any other JSON.
  init(configured node: YAMLNode) {
    if case .scalar(let scalar) = node.value, scalar.kind == .text {
      self = .text(scalar.text)
    } else {
      self = .json(node.json())
    }
  }
}

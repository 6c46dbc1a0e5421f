/// What the file has, section by section.
extension ProxyModel {
  /// The number of servers with checks.
  public var checkedServers: Int {
    backends.reduce(0) { count, backend in
      let isDefault = backend.traits.defaultServer.contains("check")
      return count + (backend.section.servers.count { isDefault || $0.options.words.contains("check") })
    }
  }

  /// All sections in the file's order.
  var sections: [Section] { sections(without: []) }

  func sections(without parts: Set<LineOrigin>) -> [Section] {
    var sections = context.base.sections(without: parts)
    var shared: [ConfigLine] = []
    for name in order {
      guard let built = services[name]?.sections, !parts.contains(.service(name, .section, nil)) else { continue }
      if let frontend = built.frontend { sections.append(frontend) }
      if let backend = built.backend { sections.append(backend) }
      if !parts.contains(.service(name, .sharedFrontend, nil)) { shared += built.shared }
    }
    if let own = context.base.sharedLines, !parts.contains(.sharedFrontend(nil)) {
      let header = ConfigLine(text: BaseSections.sharedFrontend, origin: .sharedFrontend(nil))
      sections.append(Section(header, lines: own + shared))
    }
    return sections
  }

  /// The backends whose servers are synapse's, in the file's order.
  var backends: [(section: Section, name: String, traits: BackendTraits)] { backends(of: order) }

  /// The sections of these services alone, without what they add to the shared frontend.
  func sections(of names: Set<String>) -> [Section] {
    names.sorted().flatMap { name in
      [services[name]?.sections.frontend, services[name]?.sections.backend].compactMap { $0 }
    }
  }

  /// The number of servers in the file.
  public var serverCount: Int { services.values.reduce(0) { $0 + ($1.sections.backend?.servers.count ?? 0) } }

  /// The number of servers that these services have in the file.
  public func serverCount(of names: Set<String>) -> Int {
    names.reduce(0) { $0 + (services[$1]?.sections.backend?.servers.count ?? 0) }
  }

  /// The backends of these services, in their order.
  func backends(of names: some Sequence<String>) -> [(section: Section, name: String, traits: BackendTraits)] {
    names.compactMap { name in
      guard let service = services[name], let section = service.sections.backend else { return nil }
      return (section, service.settings.backendSection, service.sections.traits)
    }
  }
}

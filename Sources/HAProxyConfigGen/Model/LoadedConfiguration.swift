internal import SmartStack

/// What HAProxy has loaded: fingerprints of sections and of servers' options.
///
/// HAProxy does not tell these over its socket, so the agent keeps this value: made from the file's
/// text when HAProxy loads it, carried on with every set of commands that was obeyed.
public struct LoadedConfiguration: Equatable, Sendable {
  /// By the words of its first line.
  private(set) var sections: [String: SectionPrint] = [:]
  /// The addresses that it listens on.
  public private(set) var listening: Set<ListenAddress> = []

  /// What HAProxy has after it loaded a file with this text.
  public init(text: String) {
    for print in SectionPrint.read(text) { add(print) }
    listening = Set(AddressClaim.listening(in: text).values.joined())
  }

  init(sections: [Section]) {
    for print in sections.lazy.flatMap(\.prints) { add(print) }
  }

  /// Records that the commands were obeyed which go with the file of `model`. Servers that are no longer in the file are
  /// still in HAProxy's memory, so they are not forgotten here.
  public mutating func update(to model: ProxyModel) { update(LoadedConfiguration(sections: model.sections)) }

  /// Records that the commands were obeyed for these services; the others are as they were.
  public mutating func update(to model: ProxyModel, services: Set<String>) {
    update(LoadedConfiguration(sections: model.sections(of: services)))
  }

  /// Forgets servers that are neither in `model`'s file nor in HAProxy's memory: deleted ones.
  public mutating func prune(_ model: ProxyModel, running: RunningProxy) {
    for backend in model.backends {
      let header = backend.section.header.text
      guard let known = sections[header]?.servers, let written = backend.section.managed?.servers,
        known.count > written.count
      else { continue }
      let present = running.backends[backend.name] ?? [:]
      sections[header]?.servers = known.filter { written[$0.key] != nil || present[$0.key] != nil }
    }
  }

  /// Records servers that commands have added to a process which loaded a file without them.
  public mutating func note(added servers: Set<ServerPath>, of model: ProxyModel) {
    if servers.isEmpty { return }
    let names = Dictionary(grouping: servers, by: \.backend)
    for backend in model.backends {
      for path in names[backend.name] ?? [] {
        sections[backend.section.header.text]?.servers[path.server] = backend.section.managed?.servers[path.server]
      }
    }
  }

  /// What HAProxy has after it loaded the file rendered from `model`.
  public init(_ model: ProxyModel) {
    self.init(sections: model.sections)
    listening = Set(model.listening.values.joined())
  }

  private mutating func update(_ next: LoadedConfiguration) {
    for (header, print) in next.sections {
      guard let known = sections[header]?.servers else { continue }
      // The model's own take no memory.
      let isWhole = known.count <= print.servers.count && known.keys.allSatisfy { print.servers[$0] != nil }
      sections[header]?.servers = isWhole ? print.servers : known.merging(print.servers) { $1 }
    }
  }

  /// Sections with the same first line (several `defaults`) count as one.
  private mutating func add(_ print: SectionPrint) {
    guard var known = sections[print.header] else {
      sections[print.header] = print
      return
    }
    known.lines.add(word: print.lines.hexadecimal.utf8)
    known.servers.merge(print.servers) { $1 }
    sections[print.header] = known
  }
}

internal import SmartStack

/// Makes a tree of the events: replaces aliases, merges `<<`, gives plain scalars their meaning, holds the limits.
struct YAMLComposer: ~Copyable {
  private(set) var mappings = MappingBuilder()
  /// Where a second document starts.
  private(set) var extraDocument: ConfigError?
  private let reader: YAMLEventReader
  private let limits: YAMLLimits
  private var anchors: [String: YAMLNode] = [:]
  private var openAnchors: Set<String> = []
  private var nodes = 0

  init(_ reader: consuming YAMLEventReader, limits: YAMLLimits) {
    self.reader = reader
    self.limits = limits
  }

  /// The first document of the text; null if there is none.
  mutating func composeDocument() throws(ConfigError) -> YAMLNode {
    while true {
      let (event, position) = try reader.next()
      switch event {
      case .documentStart:
        let (first, place) = try reader.next()
        let root = try compose(first, at: place, trail: nil, depth: 1)
        try finish()
        return root
      case .streamEnd:
        return YAMLNode(.scalar(YAMLScalar(text: "", kind: .null)), at: position, trail: nil)
      default: continue
      }
    }
  }

  /// Reads on to the end, because an error behind the document is one too.
  private mutating func finish() throws(ConfigError) {
    while true {
      let (event, position) = try reader.next()
      if case .streamEnd = event { return }
      guard case .documentStart = event, extraDocument == nil else { continue }
      extraDocument = error("a second document starts here, and only the first is read", at: position, trail: nil)
    }
  }

  private mutating func compose(
    _ event: YAMLEvent, at position: YAMLPosition, trail: YAMLTrail?, depth: Int
  ) throws(ConfigError) -> YAMLNode {
    try count(1, depth: depth, at: position, trail: trail)
    switch event {
    case .alias(let name):
      return try expand(name, at: position, trail: trail, depth: depth)
    case .scalar(let text, let isPlain, let tag, let anchor):
      let scalar = try resolve(text, isPlain: isPlain, tag: tag, at: position, trail: trail)
      return remember(YAMLNode(.scalar(scalar), at: position, trail: trail), as: anchor)
    case .sequenceStart(let tag, let anchor):
      try check(tag, is: "seq", at: position, trail: trail)
      if let anchor { openAnchors.insert(anchor) }
      let items = try composeItems(trail: trail, depth: depth)
      return remember(YAMLNode(.sequence(items), at: position, trail: trail), as: anchor)
    case .mappingStart(let tag, let anchor):
      try check(tag, is: "map", at: position, trail: trail)
      if let anchor { openAnchors.insert(anchor) }
      let entries = try composeEntries(trail: trail, depth: depth)
      return remember(YAMLNode(.mapping(entries), at: position, trail: trail), as: anchor)
    case .streamStart, .streamEnd, .documentStart, .documentEnd, .sequenceEnd, .mappingEnd:
      throw error("the text ends where a value should stand", at: position, trail: trail)
    }
  }

  private mutating func composeItems(trail: YAMLTrail?, depth: Int) throws(ConfigError) -> [YAMLNode] {
    var items: [YAMLNode] = []
    while true {
      let (event, position) = try reader.next()
      if case .sequenceEnd = event { return items }
      items.append(
        try compose(event, at: position, trail: YAMLTrail(below: trail, index: items.count), depth: depth + 1))
    }
  }

  private mutating func composeEntries(trail: YAMLTrail?, depth: Int) throws(ConfigError) -> [YAMLEntry] {
    var explicit: [YAMLEntry] = []
    var merged: [YAMLEntry] = []
    while true {
      let (event, position) = try reader.next()
      if case .mappingEnd = event { return mappings.build(explicit, merged: merged) }
      let key = try compose(event, at: position, trail: trail, depth: depth + 1)
      guard case .scalar(let scalar) = key.value else {
        throw key.error("a key must be a single word or text, not \(key.summary)")
      }
      let inner = YAMLTrail(below: trail, key: scalar.text)
      let (next, place) = try reader.next()
      let value = try compose(next, at: place, trail: inner, depth: depth + 1)
      if case .scalar("<<", isPlain: true, tag: _, anchor: _) = event {
        merged += try entriesToMerge(value).map { entry in
          YAMLEntry(key: entry.key, value: entry.value.moved(to: YAMLTrail(below: trail, key: entry.name)))
        }
      } else {
        explicit.append(YAMLEntry(key: key, value: value))
      }
    }
  }

  /// Of a list of mappings the first has precedence, so it comes last.
  private func entriesToMerge(_ value: YAMLNode) throws(ConfigError) -> [YAMLEntry] {
    switch value.value {
    case .mapping(let entries): return entries
    case .sequence(let items):
      var entries: [YAMLEntry] = []
      for item in items.reversed() {
        guard case .mapping(let more) = item.value else {
          throw item.error("only mappings can be merged, not \(item.summary)")
        }
        entries += more
      }
      return entries
    case .scalar: throw value.error("only a mapping or a list of mappings can be merged, not \(value.summary)")
    }
  }

  // MARK: Anchors

  private mutating func remember(_ node: YAMLNode, as anchor: String?) -> YAMLNode {
    if let anchor {
      anchors[anchor] = node
      openAnchors.remove(anchor)
    }
    return node
  }

  private mutating func expand(
    _ name: String, at position: YAMLPosition, trail: YAMLTrail?, depth: Int
  ) throws(ConfigError) -> YAMLNode {
    if openAnchors.contains(name) {
      throw error("the alias *\(name) stands inside of what it names", at: position, trail: trail)
    }
    guard let target = anchors[name] else {
      throw error("the alias *\(name) names no anchor above it", at: position, trail: trail)
    }
    try countCopies(of: target, depth: depth, at: position, trail: trail)
    return target.moved(to: trail)
  }

  private mutating func countCopies(
    of node: YAMLNode, depth: Int, at position: YAMLPosition, trail: YAMLTrail?
  ) throws(ConfigError) {
    switch node.value {
    case .scalar: try count(1, depth: depth, at: position, trail: trail)
    case .sequence(let items):
      try count(1, depth: depth, at: position, trail: trail)
      for item in items { try countCopies(of: item, depth: depth + 1, at: position, trail: trail) }
    case .mapping(let entries):
      try count(1 + entries.count, depth: depth, at: position, trail: trail)
      for entry in entries { try countCopies(of: entry.value, depth: depth + 1, at: position, trail: trail) }
    }
  }

  private mutating func count(
    _ more: Int, depth: Int, at position: YAMLPosition, trail: YAMLTrail?
  ) throws(ConfigError) {
    nodes += more
    if depth > limits.depth { throw error("nested deeper than \(limits.depth) levels", at: position, trail: trail) }
    if nodes > limits.nodes {
      throw error("more than \(limits.nodes) values once aliases are replaced", at: position, trail: trail)
    }
  }

  // MARK: Tags

  private func resolve(
    _ text: String, isPlain: Bool, tag: String?, at position: YAMLPosition, trail: YAMLTrail?
  ) throws(ConfigError) -> YAMLScalar {
    guard let tag else { return isPlain ? YAMLScalar(plain: text) : YAMLScalar(text: text, kind: .text) }
    if tag == "!" || tag == "tag:yaml.org,2002:str" { return YAMLScalar(text: text, kind: .text) }
    let kinds: [String: YAMLScalar.Kind] = ["null": .null, "bool": .bool, "int": .int, "float": .float]
    let prefix = "tag:yaml.org,2002:"
    guard tag.hasPrefix(prefix), let kind = kinds[String(tag.dropFirst(prefix.count))] else {
      throw error("the tag \(tag) is not supported", at: position, trail: trail)
    }
    let plain = YAMLScalar.kind(of: text)
    guard plain == kind || (plain == .int && kind == .float) else {
      throw error("\(JSONText.quoted(text)) is not what its tag \(tag) says", at: position, trail: trail)
    }
    return YAMLScalar(text: text, kind: kind)
  }

  private func check(
    _ tag: String?, is name: String, at position: YAMLPosition, trail: YAMLTrail?
  ) throws(ConfigError) {
    guard let tag, tag != "!", tag != "tag:yaml.org,2002:\(name)" else { return }
    throw error("the tag \(tag) is not supported", at: position, trail: trail)
  }

  private func error(_ problem: String, at position: YAMLPosition, trail: YAMLTrail?) -> ConfigError {
    YAMLNode(.sequence([]), at: position, trail: trail).error(problem)
  }
}

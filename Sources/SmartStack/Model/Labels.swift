/// The value of one label, with its JSON type: in a label filter 1 is not "1".
public enum LabelValue: Hashable, Sendable, ExpressibleByStringLiteral {
  case text(String)
  /// Anything but a string, as compact JSON: `1`, `null`, `{"a":[true]}`.
  case json(String)

  /// Creates a label's text from a literal.
  public init(stringLiteral text: String) { self = .text(text) }

  /// The value as JSON.
  public var json: String {
    switch self {
    case .text(let text): JSONText.quoted(text)
    case .json(let json): json
    }
  }
}

/// The labels of one registration: names and values in the order in which they were written.
///
/// Two are equal only if their order is, too: registrations are compared as they are written.
public struct Labels: Hashable, Sendable, ExpressibleByDictionaryLiteral {
  /// One label with its value.
  public struct Entry: Hashable, Sendable {
    /// The label's name, for example `region:r1`.
    public let name: String
    /// Empty text for a label that only has to be there.
    public let value: LabelValue
  }

  /// All of them; every name once.
  public private(set) var entries: [Entry] = []

  /// Creates an empty set of labels.
  public init() {}

  /// Labels in the order given; of equal names the last counts.
  public init(dictionaryLiteral labels: (String, LabelValue)...) {
    for (name, value) in labels { self[name] = value }
  }

  /// The value of `name`. Setting nil removes the label; a new one goes last.
  public subscript(name: String) -> LabelValue? {
    get { entries.first { $0.name == name }?.value }
    set {
      let place = entries.firstIndex { $0.name == name }
      switch (place, newValue) {
      case (let place?, let value?): entries[place] = Entry(name: name, value: value)
      case (let place?, nil): entries.remove(at: place)
      case (nil, let value?): entries.append(Entry(name: name, value: value))
      case (nil, nil): break
      }
    }
  }

  /// The labels as a compact JSON object.
  public var json: String {
    "{" + entries.map { JSONText.quoted($0.name) + ":" + $0.value.json }.joined(separator: ",") + "}"
  }
}

extension JSONCursor {
  /// Reads an object of labels.
  public mutating func readLabels() -> Labels? {
    var labels = Labels()
    let isWhole = readObject { name, cursor in
      let isText = cursor.peek() == UInt8(ascii: "\"")
      labels[name] = isText ? cursor.readString().map(LabelValue.text) : cursor.readCompact().map(LabelValue.json)
      return labels[name] != nil
    }
    return isWhole ? labels : nil
  }
}

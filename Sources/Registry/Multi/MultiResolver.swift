internal import YAMLConfig

/// How the parts of a `multi` discovery become one list.
public enum MultiResolver: Hashable, Sendable {
  /// All of them, in the order of the parts.
  case union
  /// The first of these parts that has any server.
  case sequential([String])
  /// The part that a file elsewhere points at: `s3_toggle`.
  case toggle(ToggleConfiguration)
}

/// Settings of the resolver `s3_toggle`.
public struct ToggleConfiguration: Hashable, Sendable {
  /// Where the weights of the parts are read.
  public enum Source: Hashable, Sendable {
    /// A file of this host: `file:///path`.
    case file(String)
    /// An address: `http://` or `https://`.
    case web(WebAddress)
  }

  /// `s3_url`: the place of the weights.
  public var source: Source
  /// `s3_polling_interval_seconds`: the time between two readings.
  public var interval: Duration
}

extension MultiResolver {
  /// Decodes `resolver` for parts of these names.
  init(_ section: ConfigSection, parts: [String]) throws(ConfigError) {
    let method = try section.string("method")
    switch method.lowercased() {
    case "union": self = .union
    case "sequential":
      let order = try section.required("sequential_order").strings()
      if Set(order) != Set(parts) || order.count != parts.count {
        throw section.error(
          at: "sequential_order", "must name each watcher once: \(parts.sorted().joined(separator: ", "))")
      }
      self = .sequential(order)
    case "s3_toggle": self = .toggle(try ToggleConfiguration(section))
    default: throw section.error(at: "method", "there is no resolver '\(method)'")
    }
  }
}

extension ToggleConfiguration {
  /// Decodes the keys of an `s3_toggle`.
  fileprivate init(_ section: ConfigSection) throws(ConfigError) {
    let text = try section.string("s3_url")
    if text.hasPrefix("file:///") {
      source = .file(String(text.dropFirst("file://".count)))
    } else if let address = WebAddress(text) {
      source = .web(address)
    } else if text.hasPrefix("s3://") {
      throw section.error(
        at: "s3_url", "'s3://' is not available in this version; file:///path, http:// and https:// addresses are")
    } else {
      throw section.error(at: "s3_url", "'\(text)' is not a file:///path, http:// or https:// address")
    }
    interval = try section.duration("s3_polling_interval_seconds", in: 0.1...86_400)
  }
}

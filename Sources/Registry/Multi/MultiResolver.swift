internal import SmartStack
internal import YAMLConfig

/// How the parts of a `multi` discovery become one list.
enum MultiResolver: Hashable, Sendable {
  /// All of them, in the order of the parts.
  case union
  /// The first of these parts that has any server.
  case sequential([String])
  /// The part that a file elsewhere points at: `s3_toggle`.
  case toggle(ToggleConfiguration)
}

/// Settings of the resolver `s3_toggle`.
struct ToggleConfiguration: Hashable, Sendable {
  /// Where the weights of the parts are read.
  enum Source: Hashable, Sendable {
    /// A file of this host: `file:///path`.
    case file(String)
    /// An address: `http://` or `https://`.
    case web(WebAddress)
    /// An object of Amazon's S3, `s3://bucket/key`: its escaped path at the service.
    case object(AWSService, path: String)
  }

  /// `s3_url`: the place of the weights; of a file its path.
  var place: String
  /// How to read it.
  var source: Source
  /// `s3_polling_interval_seconds`: the time between two readings.
  var interval: Duration
}

extension MultiResolver {
  /// Decodes `resolver` for parts of these names.
  init(_ section: ConfigSection, parts: [String], environment: [String: String]) throws(ConfigError) {
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
    case "s3_toggle": self = .toggle(try ToggleConfiguration(section, environment: environment))
    default: throw section.error(at: "method", "there is no resolver '\(method)'")
    }
  }
}

extension ToggleConfiguration {
  /// Decodes the keys of an `s3_toggle`.
  fileprivate init(_ section: ConfigSection, environment: [String: String]) throws(ConfigError) {
    place = try section.string("s3_url")
    if place.hasPrefix("file:///") {
      place = String(place.dropFirst("file://".count))
      source = .file(place)
    } else if let address = WebAddress(place) {
      source = .web(address)
    } else if place.hasPrefix("s3://") {
      let parts = place.dropFirst("s3://".count).split(separator: "/", omittingEmptySubsequences: false)
      let bucket = String(parts[0])
      guard parts.count > 1, !bucket.isEmpty, bucket.escapedFileName == bucket, parts.last != "" else {
        throw section.error(at: "s3_url", "'\(place)' is not s3://BUCKET/KEY")
      }
      let path = parts.map { "/" + String($0).percentEncoded() }.joined()
      source = .object(try AWSService("s3", in: section, environment: environment), path: path)
    } else {
      throw section.error(at: "s3_url", "'\(place)' is not an s3://, file:///path, http:// or https:// address")
    }
    interval = try section.duration("s3_polling_interval_seconds", in: 0.1...86_400)
  }
}

internal import Reactor
internal import SmartStack

/// The fields of a form, from the query string and the body of a request; of a field given twice the last
/// counts, and the body's after the query's.
struct FormBody {
  private var fields: [String: [UInt8]] = [:]

  /// More fields than this are no form of ours.
  static let mostFields = 100

  /// - Parameter contentType: `application/x-www-form-urlencoded` and `multipart/form-data` are read; a body
  ///   of any other type, or of none, has no fields.
  init(query: some StringProtocol, contentType: String?, body: [UInt8]) {
    readPairs(query.utf8)
    let type = contentType ?? ""
    if type.lowercased().hasPrefix("application/x-www-form-urlencoded") {
      readPairs(body)
    } else if type.lowercased().hasPrefix("multipart/form-data"), let boundary = FormBody.boundary(type) {
      readParts(body, boundary: boundary)
    }
  }

  /// The value of a field, without surrounding blanks and with control characters as blanks.
  /// - Throws: ``Refusal`` when it is not UTF-8.
  func text(_ name: String) throws(Refusal) -> String? {
    guard let bytes = fields[name] else { return nil }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw Refusal("`\(name)` is not UTF-8") }
    var scalars = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 && ![0x09, 0x0a, 0x0b, 0x0c, 0x0d].contains(scalar.value)
      scalars.append(isControl ? " " : scalar)
    }
    while let first = scalars.first, first.properties.isWhitespace { scalars.removeFirst() }
    while let last = scalars.last, last.properties.isWhitespace { scalars.removeLast() }
    return String(scalars)
  }

  /// The value of a field as Unix seconds.
  func time(_ name: String) throws(Refusal) -> Double? {
    guard let text = try text(name) else { return nil }
    guard let time = Double(decimal: text) else {
      throw Refusal("`\(name)` is \(text.quoted); seconds since 1970 are expected")
    }
    return time
  }

  // MARK: application/x-www-form-urlencoded

  private mutating func readPairs(_ bytes: some Collection<UInt8>) {
    for pair in bytes.split(separator: UInt8(ascii: "&"), maxSplits: FormBody.mostFields) {
      // Without `=` it is not a field, as Python's parser has it.
      guard let equals = pair.firstIndex(of: UInt8(ascii: "=")) else { continue }
      let name = pair[..<equals].formDecoded
      fields[String(decoding: name, as: UTF8.self)] = pair[pair.index(after: equals)...].formDecoded
    }
  }

  // MARK: multipart/form-data (RFC 7578)

  private static func boundary(_ type: String) -> [UInt8]? {
    for parameter in type.split(separator: ";").dropFirst() {
      let (name, value) = parameter.cut(at: "=")
      guard name.filter({ $0 != " " }).lowercased() == "boundary", let value else { continue }
      let text = value.trimmedBlanks.trimmingQuotes
      return text.isEmpty || text.utf8.count > 70 ? nil : Array("--\(text)".utf8)
    }
    return nil
  }

  private mutating func readParts(_ body: [UInt8], boundary: [UInt8]) {
    var rest = body[...]
    guard let first = rest.firstRange(of: boundary) else { return }
    rest = rest[first.upperBound...]
    for _ in 0..<FormBody.mostFields {
      guard rest.starts(with: [0x0d, 0x0a]), let end = rest.firstRange(of: [0x0d, 0x0a] + boundary) else { return }
      readPart(rest[rest.startIndex + 2..<max(rest.startIndex + 2, end.lowerBound)])
      rest = rest[end.upperBound...]
    }
  }

  private mutating func readPart(_ part: ArraySlice<UInt8>) {
    guard let blank = part.firstRange(of: [0x0d, 0x0a, 0x0d, 0x0a]) else { return }
    let head = String(decoding: part[..<blank.lowerBound], as: UTF8.self)
    for line in head.split(separator: "\r\n") where line.lowercased().hasPrefix("content-disposition:") {
      for parameter in line.split(separator: ";").dropFirst() {
        let (name, value) = parameter.cut(at: "=")
        guard name.trimmedBlanks.lowercased() == "name", let value else { continue }
        fields[value.trimmedBlanks.trimmingQuotes] = Array(part[blank.upperBound...])
      }
    }
  }
}

extension StringProtocol {
  fileprivate var trimmingQuotes: String {
    guard count >= 2, first == "\"", last == "\"" else { return String(self) }
    return String(dropFirst().dropLast())
  }
}

extension SpoolRequest {
  /// Reads `status=up`, or `status=down` with `reason` and perhaps `expiration` and `creation`.
  /// - Parameter peer: the address that asks.
  init(_ form: FormBody, from peer: String? = nil) throws(Refusal) {
    switch try form.text("status") {
    case "up": self = .up
    case "down":
      guard let reason = try form.text("reason") else { throw Refusal("`reason` is missing; it may be empty") }
      self = .down(
        reason: reason, expiration: try form.time("expiration"), creation: try form.time("creation"), setter: peer)
    case nil: throw Refusal("`status` is missing: a form with status=up, or status=down and reason, is expected")
    case .some: throw Refusal("status must be up or down")
    }
  }
}

/// One record of the tables that HAProxy prints: a `# name name …` line, then one record per line.
///
/// Columns are found by name, so that additional ones of later versions do no harm. Values are copied
/// out only when asked for: `show servers state` of 10,000 servers is a megabyte. Valid only while the walk is at it.
struct ReplyRow {
  private let bytes: UnsafeBufferPointer<UInt8>
  private let fields: [Range<Int>]
  private let columns: [String: Int]

  /// The field's text; nil if this version has no such column or the record ends before it.
  func text(_ column: String) -> String? {
    guard let index = columns[column], index < fields.count else { return nil }
    let field = UnsafeBufferPointer(rebasing: bytes[fields[index]])
    guard field.first == UInt8(ascii: "\"") else { return String(decoding: field, as: UTF8.self) }
    return ReplyRow.unquoted(field)
  }

  /// The field as a number; nil also for empty fields and other text.
  func number(_ column: String) -> Int? {
    guard let index = columns[column], index < fields.count, !fields[index].isEmpty else { return nil }
    var value = 0
    var digits = bytes[fields[index]]
    let isNegative = digits.first == UInt8(ascii: "-")
    if isNegative { digits = digits.dropFirst() }
    if digits.isEmpty || digits.count > 18 { return nil }
    for byte in digits {
      guard byte >= 48, byte <= 57 else { return nil }
      value = value * 10 + Int(byte - 48)
    }
    return isNegative ? -value : value
  }

  /// Calls `body` with each record of `text`.
  /// - Parameters:
  ///   - isCSV: whether commas separate fields, which may be quoted as in RFC 4180, also with line ends, and lines may
  ///     end with a carriage return; else blanks do.
  ///   - required: columns that every answer must have.
  /// - Returns: the names of required columns that are missing; `body` is not called then.
  static func walk(_ text: String, isCSV: Bool, required: [String], body: (ReplyRow) -> Void) -> [String] {
    var text = text
    return text.withUTF8 { bytes in
      var columns: [String: Int]?
      var start = 0
      var fields: [Range<Int>] = []
      while start < bytes.count {
        let end = split(bytes, from: start, isCSV: isCSV, into: &fields)
        defer { start = end + 1 }
        if bytes[start] == UInt8(ascii: "#") {
          columns = names(of: fields, in: bytes)
          let missing = required.filter { columns?[$0] == nil }
          if !missing.isEmpty { return missing }
        } else if let columns, !fields.isEmpty, end > start {
          body(ReplyRow(bytes: bytes, fields: fields, columns: columns))
        }
      }
      return columns == nil ? required : []
    }
  }

  /// Cuts the record that begins at `start` into fields; returns the index of its line end.
  private static func split(
    _ bytes: UnsafeBufferPointer<UInt8>, from start: Int, isCSV: Bool, into fields: inout [Range<Int>]
  ) -> Int {
    fields.removeAll(keepingCapacity: true)
    var position = start
    var fieldStart = start
    var isQuoted = false
    while position < bytes.count {
      let byte = bytes[position]
      if isCSV, byte == UInt8(ascii: "\"") { isQuoted.toggle() }
      if !isQuoted {
        if byte == UInt8(ascii: "\n") { break }
        if isCSV ? byte == UInt8(ascii: ",") : byte == UInt8(ascii: " ") {
          if isCSV || position > fieldStart { fields.append(fieldStart..<position) }
          fieldStart = position + 1
        }
      }
      position += 1
    }
    var end = position
    if isCSV, end > fieldStart, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
    if isCSV || end > fieldStart { fields.append(fieldStart..<end) }
    return position
  }

  private static func names(of fields: [Range<Int>], in bytes: UnsafeBufferPointer<UInt8>) -> [String: Int] {
    var columns: [String: Int] = [:]
    var index = 0
    for field in fields {
      var name = bytes[field]
      while let first = name.first, first == UInt8(ascii: "#") || first == UInt8(ascii: " ") { name = name.dropFirst() }
      // `# be_id be_name`: the mark is a field of its own where blanks separate.
      if name.isEmpty, index == 0, bytes[field].contains(UInt8(ascii: "#")) { continue }
      let text = String(decoding: name, as: UTF8.self)
      if columns[text] == nil { columns[text] = index }
      index += 1
    }
    return columns
  }

  private static func unquoted(_ field: UnsafeBufferPointer<UInt8>) -> String {
    var out: [UInt8] = []
    var isEscaped = false
    for byte in field.dropFirst().dropLast() {
      if byte == UInt8(ascii: "\""), !isEscaped {
        isEscaped = true
        continue
      }
      isEscaped = false
      out.append(byte)
    }
    return String(decoding: out, as: UTF8.self)
  }
}

internal import CYAML

/// What libyaml sees next, as Swift values.
enum YAMLEvent {
  case streamStart, streamEnd, documentStart, documentEnd
  case alias(String)
  case scalar(text: String, isPlain: Bool, tag: String?, anchor: String?)
  case sequenceStart(tag: String?, anchor: String?)
  case sequenceEnd
  case mappingStart(tag: String?, anchor: String?)
  case mappingEnd
}

/// Pulls events out of one YAML text.
///
/// Owns a `yaml_parser_t` and the bytes it reads: libyaml keeps a pointer into the input until
/// `yaml_parser_delete`, so both are freed together and neither is ever handed out.
struct YAMLEventReader: ~Copyable {
  let file: String
  private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
  private let input: UnsafeMutableBufferPointer<UInt8>

  init(_ bytes: [UInt8], file: String) {
    self.file = file
    input = .allocate(capacity: max(1, bytes.count))
    _ = input.initialize(from: bytes)
    precondition(yaml_parser_initialize(parser) == 1, "out of memory")
    yaml_parser_set_input_string(parser, input.baseAddress, bytes.count)
    inputCount = bytes.count
  }

  private let inputCount: Int

  deinit {
    yaml_parser_delete(parser)
    parser.deallocate()
    input.deallocate()
  }

  /// The next event and where it starts. Not to be called again after it threw or after `streamEnd`.
  func next() throws(ConfigError) -> (event: YAMLEvent, position: YAMLPosition) {
    var event = yaml_event_t()
    guard yaml_parser_parse(parser, &event) == 1 else { throw failure() }
    defer { yaml_event_delete(&event) }
    return (YAMLEvent(copying: event), position(event.start_mark))
  }

  private func position(_ mark: yaml_mark_t) -> YAMLPosition {
    YAMLPosition(
      file: file, line: Int32(clamping: mark.line + 1), column: Int32(clamping: mark.column + 1))
  }

  private func failure() -> ConfigError {
    let problem = parser.pointee.problem.map { String(cString: $0) } ?? "out of memory"
    if parser.pointee.error == YAML_READER_ERROR { return readerFailure(problem) }
    let place = position(parser.pointee.problem_mark)
    if isTab(at: parser.pointee.problem_mark) {
      return ConfigError(
        file: file, line: Int(place.line), column: Int(place.column), problem: "found a tab; indent with blanks")
    }
    var sentence = problem
    if let context = parser.pointee.context {
      let since = parser.pointee.context_mark.line + 1
      sentence += " (\(String(cString: context)), which starts in line \(since))"
    }
    return ConfigError(file: file, line: Int(place.line), column: Int(place.column), problem: sentence)
  }

  private func isTab(at mark: yaml_mark_t) -> Bool {
    let lines = input[..<inputCount].split(
      separator: UInt8(ascii: "\n"), maxSplits: Int(mark.line) + 1, omittingEmptySubsequences: false)
    guard mark.line < lines.count else { return false }
    let line = String(decoding: lines[Int(mark.line)], as: UTF8.self)
    return line.unicodeScalars.dropFirst(Int(mark.column)).first == "\t"
  }

  /// Bytes that are not text: libyaml gives their offset only.
  private func readerFailure(_ problem: String) -> ConfigError {
    let value = parser.pointee.problem_value
    let detail = value >= 0 ? "\(problem) (0x\(String(value, radix: 16)))" : problem
    let before = input[..<min(inputCount, parser.pointee.problem_offset)]
    return ConfigError(file: file, after: before, problem: detail)
  }
}

extension YAMLEvent {
  fileprivate init(copying event: yaml_event_t) {
    switch event.type {
    case YAML_STREAM_START_EVENT: self = .streamStart
    case YAML_DOCUMENT_START_EVENT: self = .documentStart
    case YAML_DOCUMENT_END_EVENT: self = .documentEnd
    case YAML_ALIAS_EVENT: self = .alias(text(event.data.alias.anchor) ?? "")
    case YAML_SCALAR_EVENT:
      let scalar = event.data.scalar
      let bytes = UnsafeBufferPointer(start: scalar.value, count: scalar.length)
      self = .scalar(
        text: String(decoding: bytes, as: UTF8.self), isPlain: scalar.style == YAML_PLAIN_SCALAR_STYLE,
        tag: text(scalar.tag), anchor: text(scalar.anchor))
    case YAML_SEQUENCE_START_EVENT:
      self = .sequenceStart(tag: text(event.data.sequence_start.tag), anchor: text(event.data.sequence_start.anchor))
    case YAML_SEQUENCE_END_EVENT: self = .sequenceEnd
    case YAML_MAPPING_START_EVENT:
      self = .mappingStart(tag: text(event.data.mapping_start.tag), anchor: text(event.data.mapping_start.anchor))
    case YAML_MAPPING_END_EVENT: self = .mappingEnd
    default: self = .streamEnd
    }
  }
}

private func text(_ pointer: UnsafeMutablePointer<yaml_char_t>?) -> String? {
  pointer.map { String(cString: $0) }
}

internal import Reactor

/// The headers of a question, from the wire or from a caller in this process.
@LoopActor enum RequestHeaders {
  case exchange(HTTPExchange)
  case list([(name: String, value: String)])

  /// The first value of a header, whatever the name's case.
  func first(_ name: String) -> String? {
    switch self {
    case .exchange(let exchange): exchange.header(name)
    case .list(let fields): fields.first { $0.name.equalsIgnoringCase(name) }?.value
    }
  }

  /// All values of a header.
  func all(_ name: String) -> [String] {
    switch self {
    case .exchange(let exchange): exchange.headers(name)
    case .list(let fields): fields.filter { $0.name.equalsIgnoringCase(name) }.map(\.value)
    }
  }
}

extension String {
  /// Whether two ASCII names are the same but for case.
  func equalsIgnoringCase(_ other: String) -> Bool {
    utf8.count == other.utf8.count && zip(utf8, other.utf8).allSatisfy { $0 == $1 || $0.lowered == $1.lowered }
  }
}

extension UInt8 {
  fileprivate var lowered: UInt8 { self &- 0x41 < 26 ? self | 0x20 : self }
}
